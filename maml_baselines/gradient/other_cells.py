"""ANIL and warp layers: the inner loop of MAML on some of the layers."""

import keras

from mtnet_tf import TWConv2D, TWDense
from mtnet_tf.experiments import build_learner, build_network
from mtnet_tf.tasks import ImageClasses


def build_anil(settings, tasks):
    """ANIL (Raghu et al. 2020, section 4): the inner loop adapts the last layer only."""
    model = build_network(settings, tasks)
    head = [model.layers[-1].name]
    return build_learner(settings, tasks, model=model, adapt_layers=head)


def build_warp(settings, tasks):
    """Warp layers (Flennerhag et al. 2020, section 2) trained with the MAML objective.

    A layer that no task adapts follows each block of cell, normalisation, ReLU and pooling: a 3x3
    convolution for pictures, as in section 4, and a dense layer else. T, within a cell, is the
    linear one over the channels of a pixel.
    """
    warps = []
    seeds = iter(range(1000 * settings.seed + 1, 1000 * settings.seed + 1000))

    def warp(units):
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
