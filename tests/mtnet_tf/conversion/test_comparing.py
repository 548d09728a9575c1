"""The comparison of a model with its copy on random inputs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import fold, layers, to_mtnet
from mtnet_tf.conversion import comparing, copy_of, rebuild
from mtnet_tf.conversion.random_inputs import RandomInputs

K = keras.layers


def changes(replaced):
    """Function that replaces the layer of this name by one with other weights."""

    def replace(layer):
        found = copy_of(layer)
        values = [v + 1 for v in found.values] if layer.name == replaced else found.values
        return copy_of(layer, values)

    return replace


def deep():
    inner = keras.Sequential([keras.Input((4,)), K.Dense(4, name="inside")], name="inner")
    inputs = keras.Input((4,))
    x = K.Dense(4, name="first")(inputs)
    shared = K.Dense(4, name="twice")
    return keras.Model(inputs, K.Dense(2, name="last")(shared(shared(inner(x)))))


@pytest.mark.parametrize("name", ["first", "inside", "twice", "last"])
def test_the_first_layer_that_differs_is_named(name):
    message = f"whose copy differs in the output of {name} of class Dense.*check_outputs=False"
    with pytest.raises(ValueError, match=message):
        rebuild(deep(), changes(name), check_outputs=True)
    rebuild(deep(), changes(name))  # is not asked to compare


class Hidden(K.Layer):
    """A layer that forgets its function, which no number describes."""

    def __init__(self, function=tf.identity, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def build(self, input_shape):
        self.weight = self.add_weight(shape=(input_shape[-1],), initializer="ones")

    def call(self, inputs):
        return self.function(inputs * self.weight)

    def get_config(self):
        return K.Layer.get_config(self)


def test_a_layer_that_forgets_its_arguments_is_named():
    members = [K.Dense(4), Hidden(tf.sin, name="hidden"), K.Dense(2)]
    model = keras.Sequential([keras.Input((4,)), *members])
    with pytest.raises(ValueError, match="in the output of hidden of class Hidden. .*get_config"):
        to_mtnet(model)
    to_mtnet(model, check_outputs=False)
    converted = keras.Sequential([keras.Input((4,)), layers.TWDense(4), *members[1:2]])
    with pytest.raises(ValueError, match="in the output of hidden of class Hidden"):
        fold(converted)


class Noise(K.Layer):
    """Random in inference: by a seed that a copy has, too, or by one that no copy has."""

    def __init__(self, seeded, **kwargs):
        super().__init__(**kwargs)
        self.seeded = seeded
        self.generator = keras.random.SeedGenerator(3)

    def call(self, inputs):
        shape = keras.ops.shape(inputs)
        noise = keras.random.normal(shape, seed=self.generator)
        return inputs + (noise if self.seeded else tf.random.normal(shape))


@pytest.mark.parametrize("seeded", [True, False])
def test_random_models_are_converted_and_keep_their_seeds(seeded):
    model = keras.Sequential([keras.Input((4,)), Noise(seeded), K.Dense(2)])
    before = [v.numpy() for v in model.variables]
    to_mtnet(model)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


class Demanding(K.Layer):
    """Accepts no random inputs."""

    def call(self, inputs):
        tf.debugging.assert_equal(inputs, tf.ones_like(inputs))
        return inputs


def test_a_model_that_rejects_random_inputs_is_converted_without_a_comparison():
    model = keras.Sequential([keras.Input((4,)), Demanding(), K.Dense(2)])
    assert isinstance(to_mtnet(model).layers[-1], layers.TWDense)


def test_the_graph_between_the_layers_is_compared():
    class Doubled(keras.Model):
        def call(self, inputs):
            return 2 * super().call(inputs)

    inputs = keras.Input((4,))
    model = Doubled(inputs, K.Dense(2)(inputs))
    copy = rebuild(model, copy_of)
    pairs = [(model.layers[-1], copy.layers[-1])]
    plain = keras.Model(copy.inputs, copy.layers[-1](copy.inputs[0]))
    with pytest.raises(ValueError, match="differs in the graph that connects the layers"):
        comparing.check_same_outputs(model, plain, pairs)


def test_inputs_are_valid_for_the_layers_of_a_model():
    words = keras.Input((7,), dtype="int32", name="words")
    x = keras.Input((None, 3), name="x")
    outputs = [K.Embedding(5, 2, mask_zero=True)(words), K.Masking(-1.0)(x)]
    model = keras.Model({"words": words, "x": x}, outputs)
    drawn = RandomInputs(model).draw(6)
    assert {k: (v.shape, v.dtype.name) for k, v in drawn.items()} == {
        "words": ((2, 7), "int32"),
        "x": ((2, 6, 3), "float32"),
    }
    assert set(np.unique(drawn["words"][0])) <= {1, 2, 3, 4}
    np.testing.assert_array_equal(drawn["x"][1, 3:], -np.ones((3, 3)))
    assert not np.any(drawn["x"][:, :3] == -1)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "mixed_float16", "float64"])
def test_the_tolerance_fits_the_dtype(dtype):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        members = [K.Conv2D(8, 3), K.BatchNormalization(), K.ReLU()]
        members += [K.MaxPooling2D(), K.Conv2D(8, 3), K.GroupNormalization(2), K.Flatten()]
        model = keras.Sequential([keras.Input((12, 12, 3)), *members, K.Dense(5, "softmax")])
        fold(to_mtnet(model))
        with pytest.raises(ValueError, match="in the output of conv2d"):
            rebuild(model, changes(model.layers[0].name), check_outputs=True)
    finally:
        keras.config.set_dtype_policy(before)
