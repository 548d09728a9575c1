"""ANIL and warp layers: MAML with an inner loop that adapts some of the layers.

ANIL (Raghu et al. 2020, section 4) adapts the last layer. Warp layers (Flennerhag et al. 2020,
section 2) are additional layers that the inner loop does not adapt.

Deviation: warp layers are trained with MAML's meta-loss (the paper: a loss along the trajectory).
"""

import keras

from mtnet_tf import MetaLearner, TWConv2D, TWDense
from mtnet_tf.experiments import Settings, build_learner, build_network
from mtnet_tf.tasks import ImageClasses, TaskDistribution


def build_anil(settings: Settings, tasks: TaskDistribution) -> MetaLearner:
    """Builds the MT-net paper's network with ANIL: the inner loop adapts only the last layer."""
    model = build_network(settings, tasks)
    head = [model.layers[-1].name]
    return build_learner(settings, tasks, model=model, adapt_layers=head)


def build_warp(settings: Settings, tasks: TaskDistribution) -> MetaLearner:
    """Builds the MT-net paper's network with warp layers.

    A warp layer follows each block of TW layer, normalisation, ReLU and pooling: a 3x3 convolution
    for images, as in section 4, and a dense layer otherwise. T of a T-net is a linear warp layer
    over the channels of a pixel, inside a TW layer.
    """
    warps: list[TWConv2D | TWDense] = []
    seeds = iter(range(1000 * settings.seed + 1, 1000 * settings.seed + 1000))

    def warp(units: int) -> TWConv2D | TWDense:
        options = {"transform": False, "mask": None}
        if isinstance(tasks, ImageClasses) and settings.convolutional:
            glorot = keras.initializers.GlorotUniform(seed=next(seeds))
            warps.append(TWConv2D(units, 3, padding="same", kernel_initializer=glorot, **options))
        else:
            warps.append(TWDense(units, kernel_initializer="identity", **options))
        return warps[-1]

    model = build_network(settings, tasks, after_block=warp)
    cells = [x for x in model.layers if isinstance(x, TWConv2D | TWDense) and x not in warps]
    return build_learner(settings, tasks, model=model, adapt_layers=cells)
