"""This package: its networks, its inner loop and its meta-gradient, compiled with XLA.

The regression recipe loops over steps within one program, as `MetaLearner.fit` does.
"""

import keras
import tensorflow as tf

from benchmarks.contestants.tf_common import TensorFlowProgram
from benchmarks.work import Arrays, Work, cells
from mtnet_tf import FewShotCrossentropy, networks
from mtnet_tf.layers import find_task_weights
from mtnet_tf.meta import align_masks, meta_gradients
from mtnet_tf.tasks import Episode


def program(work: Work, weights: Arrays, batches: list[Arrays]) -> TensorFlowProgram:
    """The program of `mtnet_tf`."""
    model = _network(work)
    variables = _assign(model, work, weights)
    task_weights = find_task_weights(model)
    loss = FewShotCrossentropy(work.shots) if work.classifies else keras.losses.MeanSquaredError()
    logits = list({id(w.mask_logits): w.mask_logits for w in task_weights}.values())

    def gradients(batch):
        parts = ("support_x", "support_y", "query_x", "query_y")

        def masks(step):
            drawn = {id(z): z(batch[f"noise{i}"]) for i, z in enumerate(logits) if z}
            return align_masks(task_weights, drawn)

        result, found = meta_gradients(
            model,
            task_weights,
            list(variables.values()),
            loss,
            Episode(*[batch[part] for part in parts]),
            num_inner_steps=work.inner_steps,
            step_size=work.step_size,
            masks=masks,
        )
        return result.value, [tf.convert_to_tensor(g) for g in found]

    return TensorFlowProgram(
        gradients, variables, batches, jit_compile=True, loop=not work.classifies
    )


def _network(work: Work) -> keras.Model:
    options = {} if work.method == "mtnet" else {"transform": False, "mask": None}
    if work.image is None:
        return networks.regression_network(dim_hidden=[work.hidden] * 2, cell_options=options)
    side, channels = work.image
    return networks.convolutional_network(
        (side, side, channels),
        work.ways,
        num_filters=work.filters,
        max_pool=work.max_pool,
        cell_options=options,
    )


def _assign(model: keras.Model, work: Work, weights: Arrays) -> dict[str, keras.Variable]:
    """Sets the weights of the model; returns its variables by their names here."""
    layers = [layer for layer in model.layers if hasattr(layer, "kernel")]
    norms = [layer for layer in model.layers if hasattr(layer, "beta")]
    found = {}
    for i in range(len(cells(work))):
        found |= {f"W{i}": layers[i].kernel, f"b{i}": layers[i].bias}
        if work.method == "mtnet":
            found |= {f"T{i}": layers[i].transform, f"zeta{i}": layers[i].kernel_mask.logits}
        if i < len(norms):
            found[f"beta{i}"] = norms[i].beta
    for name, variable in found.items():
        variable.assign(weights[name])
    return found
