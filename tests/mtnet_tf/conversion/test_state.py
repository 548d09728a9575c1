"""Copies keep what a layer knows beyond its weights."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import FewShotCrossentropy, MetaLearner, fold, to_mtnet

K = keras.layers
TEXTS = tf.constant(["a b c", "b b", "zz a"])
WORDS = tf.constant([["x", "y"], ["q", "x"], ["y", "y"]])
NUMBERS = np.array([[5, 7], [9, 5], [1, 2]])
FLOATS = np.linspace(-1, 1, 12, dtype="float32").reshape(3, 4)


def adapted(layer, data):
    layer.adapt(data)
    return layer


def vectorized(**options):
    return adapted(K.TextVectorization(**options), ["a b c", "a b", "d e a"])


def network(dtype, shape, *members):
    return keras.Sequential([keras.Input(shape, dtype=dtype), *members, K.Dense(3)])


def indexed(lookup, vocabulary, **options):
    return adapted(lookup(output_mode="multi_hot", **options), vocabulary)


def factor(x, by=1.0):
    return by * x


@keras.saving.register_keras_serializable("tests")
class Scale(K.Layer):
    """A layer whose configuration lacks an argument, and whose attribute is changed later."""

    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor
        self.shift = 0.0

    def call(self, inputs):
        return self.factor * inputs + self.shift

    def get_config(self):
        return K.Layer.get_config(self)


@keras.saving.register_keras_serializable("tests")
class WeightedScale(Scale):
    def build(self, input_shape):
        self.weight = self.add_weight(shape=(input_shape[-1],))

    def call(self, inputs):
        return super().call(inputs + self.weight)


@keras.saving.register_keras_serializable("tests")
class ScaledDense(K.Dense):
    """A subclass of one of Keras' layers with an attribute of its own."""

    scale = 1.0

    def call(self, inputs):
        return self.scale * super().call(inputs)


@keras.saving.register_keras_serializable("tests")
class Table(K.Layer):
    """A layer that holds a table."""

    def __init__(self, words=("p",), **kwargs):
        super().__init__(**kwargs)
        values = tf.range(1, len(words) + 1, dtype=tf.int64)
        entries = tf.lookup.KeyValueTensorInitializer(tf.constant(words), values)
        self.table = tf.lookup.StaticHashTable(entries, 0)

    def call(self, inputs):
        return self.table.lookup(inputs)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, "int64")

    def get_config(self):
        return K.Layer.get_config(self)


@keras.saving.register_keras_serializable("tests")
class Encoder(K.Layer):
    """A layer that contains a vocabulary and weights."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.vectorize = K.TextVectorization(output_sequence_length=4)
        self.embed = K.Embedding(9, 3)

    def call(self, inputs):
        return self.embed(self.vectorize(inputs))


class Unregistered(K.Layer):
    """A class that Keras does not know, with an argument that it cannot write."""

    def __init__(self, function=tf.sin, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, inputs):
        return self.function(inputs)


class Recurrence(K.Layer):
    """A recurrent cell of a class that Keras does not know."""

    state_size = 3

    def build(self, input_shape):
        self.dense = K.Dense(3)
        self.dense.build((None, input_shape[-1] + 3))

    def call(self, inputs, states):
        outputs = self.dense(keras.ops.concatenate([inputs, states[0]], -1))
        return outputs, [outputs]


def changed(layer, **attributes):
    for name, value in attributes.items():
        setattr(layer, name, value)
    return layer


def encoder():
    layer = Encoder()
    layer.vectorize.adapt(["a b c", "b c"])
    return layer


MODELS = {
    "TextVectorization": lambda: network(
        *("string", ()), vectorized(), K.Embedding(9, 3, mask_zero=True), K.LSTM(3)
    ),
    "tf_idf": lambda: network("string", (), vectorized(output_mode="tf_idf")),
    "multi_hot": lambda: network("string", (), vectorized(output_mode="multi_hot", max_tokens=9)),
    "StringLookup": lambda: network("string", (2,), indexed(K.StringLookup, ["x", "y"])),
    "StringLookup with line breaks": lambda: network(
        "string", (2,), indexed(K.StringLookup, ["x", "y\n", "\n"])
    ),
    "StringLookup without unknown words": lambda: network(
        "string", (2,), indexed(K.StringLookup, ["x", "y", "q"], num_oov_indices=0)
    ),
    "IntegerLookup": lambda: network("int64", (2,), indexed(K.IntegerLookup, [5, 7, 9])),
    "Hashing": lambda: network(
        "string", (2,), K.Hashing(7), K.CategoryEncoding(7, output_mode="count")
    ),
    "Discretization": lambda: network(
        *("float32", (4,)),
        adapted(K.Discretization(num_bins=4), np.linspace(-1, 1, 99, dtype="float32")[:, None]),
        *(K.Embedding(5, 2), K.Flatten()),
    ),
    "Normalization": lambda: network(
        "float32", (4,), adapted(K.Normalization(), np.arange(20.0).reshape(5, 4))
    ),
    "Lambda": lambda: network("float32", (4,), K.Lambda(lambda x: 2 * x)),
    "Lambda with arguments": lambda: network(
        "float32", (4,), K.Lambda(factor, output_shape=lambda s: s, arguments={"by": 3.0})
    ),
    "Lambda of a partial function": lambda: network(
        "float32", (4,), K.Lambda(functools.partial(factor, by=3.0))
    ),
    "attributes": lambda: network(
        "float32", (4,), changed(Scale(3.0), shift=np.arange(4, dtype="float32"))
    ),
    "attributes of a layer with weights": lambda: network(
        "float32", (4,), changed(WeightedScale(3.0), shift=5.0)
    ),
    "attributes of a subclass": lambda: network(
        "float32", (4,), changed(ScaledDense(3), scale=2.5)
    ),
    "a table": lambda: network(
        "string", (2,), Table(["x", "y"], dtype="int64"), K.Embedding(4, 3), K.Flatten()
    ),
    "a function of a class that is not registered": lambda: network(
        "float32", (4,), Unregistered(lambda x: x * x)
    ),
    "a cell of a class that is not registered": lambda: network(
        "float32", (4,), K.Reshape((2, 2)), K.RNN(Recurrence())
    ),
    "a layer that Keras cannot trace": lambda: network(
        "float32", (4,), K.Reshape((2, 2)), K.TimeDistributed(Unregistered()), K.Flatten()
    ),
    "a vocabulary inside": lambda: network("string", (), encoder(), K.LSTM(2)),
}
# Keras itself does not save these.
LOST_IN_FILES = ("line breaks", "Lambda", "attributes", "a table", "a vocabulary", "not registered")
LOST_IN_FILES += ("cannot trace",)


def inputs_of(model):
    text = TEXTS if len(model.input_shape) == 1 else WORDS
    return {"string": text, "int64": NUMBERS, "float32": FLOATS}[model.inputs[0].dtype]


@pytest.mark.parametrize("name", MODELS)
def test_converted_and_folded_models_keep_the_state_of_their_layers(name, tmp_path):
    model = MODELS[name]()
    x = FLOATS if "trace" in name else inputs_of(model)
    expected = model(x).numpy()
    assert np.max(np.ptp(expected, 0)) > 1e-3  # the inputs matter
    converted = to_mtnet(model)
    for copy in (converted, fold(converted)):
        np.testing.assert_allclose(copy(x), expected, rtol=1e-5, atol=1e-6)
    if not any(part in name for part in LOST_IN_FILES):
        converted.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(loaded(x), converted(x))


def test_a_layer_with_weights_that_cannot_be_created_again_is_one_clear_error():
    class Weighted(Unregistered):
        def build(self, input_shape):
            self.weight = self.add_weight(shape=(input_shape[-1],))

    model = network("float32", (4,), Weighted(lambda x: x, name="weighted"))
    with pytest.raises(ValueError, match="Received: weighted of class Weighted, .*`get_config`"):
        to_mtnet(model)


def test_a_learner_adapts_a_model_with_a_vocabulary():
    model = to_mtnet(MODELS["TextVectorization"]())
    learner = MetaLearner(model, step_size=0.1)
    learner.compile("adam", FewShotCrossentropy(1), jit_compile=False)
    texts = np.array(["a b c", "b b", "d e"])
    copy = learner.adapt(texts, np.arange(3))
    words = copy.layers[0].get_vocabulary()
    assert words == model.layers[0].get_vocabulary() and "d" in words
    assert np.max(np.abs(copy(TEXTS) - model(TEXTS))) > 1e-4


class Filters(Unregistered):
    """A layer without weights that holds tensors in a list and in a dict."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.factors = [tf.constant([1.0, 2.0, 3.0, 4.0]), tf.constant([0.0, 1.0, 0.0, 1.0])]
        self.named = {"shift": np.array([1.0, 2.0, 1.0, 2.0], "float32"), "more": (tf.ones([4]),)}

    def call(self, inputs):
        return inputs * self.factors[0] + self.factors[1] + self.named["shift"]


class Incomparable:
    def __eq__(self, other):
        raise RuntimeError("cannot be compared")

    __hash__ = None


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"factors": [tf.constant(3.0), tf.zeros([4])]},
        {"more": [tf.constant([1.0, 2.0]), np.arange(3)]},
        {"other": Incomparable()},
        {"others": [Incomparable(), {"inside": Incomparable()}]},
    ],
)
def test_layers_may_hold_collections_of_tensors_and_objects(attributes):
    model = network("float32", (4,), changed(Filters(), **attributes))
    np.testing.assert_allclose(to_mtnet(model)(FLOATS), model(FLOATS), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [Scale, WeightedScale])
def test_a_change_of_a_copy_does_not_change_the_model(kind):
    layer = changed(kind(), shift=np.arange(4, dtype="float32"), words=["a", {"b": [1, 2]}])
    layer.missing = np.array([np.nan])
    model = network("float32", (4,), layer)
    copy = to_mtnet(model).layers[0]
    assert copy is not layer and copy.words == ["a", {"b": [1, 2]}]
    copy.shift[0] = 7
    copy.words[1]["b"][0] = 9
    copy.words.append("c")
    assert layer.shift[0] == 0 and layer.words == ["a", {"b": [1, 2]}]


def test_a_file_of_another_program_stays_the_same_layer(tmp_path):
    network("float32", (4,)).export(tmp_path / "saved", verbose=False)
    layer = K.TFSMLayer(tmp_path / "saved", call_endpoint="serve")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, K.Dense(2)(layer(inputs)))
    converted = to_mtnet(model)
    assert layer in converted.layers
    np.testing.assert_allclose(fold(converted)(FLOATS), model(FLOATS), rtol=1e-5)


def test_inputs_stay_optional_and_sparse():
    class Sum(K.Layer):
        def call(self, first, second=None):
            return first if second is None else first + second

    first = keras.Input((4,))
    second = keras.Input((4,), optional=True)
    model = keras.Model([first, second], K.Dense(2)(Sum()(first, second)))
    np.testing.assert_allclose(to_mtnet(model)([FLOATS, None]), model([FLOATS, None]), rtol=1e-5)
    sparse = keras.Input((4,), sparse=True)
    model = keras.Model(sparse, K.Dense(2)(sparse))
    assert to_mtnet(model).inputs[0].sparse


def test_conversion_gives_no_names_away():
    """Names that Keras gives to the next layers do not depend on the comparison."""
    model = network("float32", (4,), Scale())
    keras.backend.clear_session()
    names = []
    for check_outputs in (True, False):
        to_mtnet(model, check_outputs=check_outputs)
        names.append([K.Identity().name, keras.Input((1,)).name.split("_")[0]])
        keras.backend.clear_session()
    assert names[0] == names[1] == ["identity", "keras"]
