"""Results do not depend on the number of examples, also if it equals the number of channels.

`keras.ops.add` takes [n, 1] for a bias if n equals the number of channels of the other array, see
`docs/upstream`. The additions of this package must not.
"""

import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import layers, networks
from mtnet_tf.layers.task_weights import find_task_weights
from mtnet_tf.meta import initial_fast_weights, predict
from support.layer_table import TABLE

# These use the statistics of the batch, or have no examples.
OF_THE_BATCH = (layers.TaskBatchNormalization, layers.MaskLogits)
EXAMPLE_BY_EXAMPLE = [entry for entry in TABLE if entry[0] not in OF_THE_BATCH]
MODES = {
    "eager": lambda function: function,
    "graph": lambda function: tf.function(function, autograph=False),
    "XLA": lambda function: tf.function(function, autograph=False, jit_compile=True),
}


@pytest.mark.parametrize(("cls", "arguments", "shape"), EXAMPLE_BY_EXAMPLE)
def test_a_layer_treats_each_example_by_itself(cls, arguments, shape, rng):
    layer = cls(**arguments, dtype="float64")
    sizes = {*shape, *layer.compute_output_shape((None, *shape))[1:]}
    x = rng.normal(size=(max(sizes) + 1, *shape))
    layer.build((None, *shape))
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    expected = np.concatenate([layer(x[i : i + 1]) for i in range(len(x))])
    for n in sizes:
        np.testing.assert_allclose(layer(x[:n]), expected[:n], rtol=1e-9, atol=1e-12)


@pytest.mark.long
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["regression", "image"])
def test_a_network_treats_each_example_by_itself(mode, kind, rng):
    options = {"norm": "None", "dtype": "float64", "seed": 0}
    if kind == "regression":
        model = networks.regression_network(dim_hidden=(4, 6), **options)
    else:
        model = networks.convolutional_network((10, 10, 1), 3, num_filters=4, **options)
    for variable in model.trainable_variables:
        variable.assign(variable + 0.3 * rng.normal(size=variable.shape))
    weights = find_task_weights(model)
    x = rng.normal(size=(2, 7, *model.input_shape[1:]))

    def outputs(x):
        fast = initial_fast_weights([w.variable for w in weights], 2)
        scale = tf.constant([1.0, 1.1], tf.float64)
        fast = [w * tf.reshape(scale, [2] + [1] * (len(w.shape) - 1)) for w in fast]
        return tf.reshape(predict(model, weights, fast, x), [2, x.shape[1], -1])

    outputs = MODES[mode](lambda x, function=outputs: function(tf.cast(x, tf.float64)))
    expected = outputs(x)
    for n in (1, 2, 3, 4, 6):  # 2 tasks of n examples: also 4, 6 and 12 rows
        np.testing.assert_allclose(outputs(x[:, :n]), expected[:, :n], rtol=1e-6, atol=1e-9)
