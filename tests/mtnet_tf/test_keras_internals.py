"""Private names of Keras and TensorFlow: used in one file, and still what they were."""

import ast
from pathlib import Path

import keras
import pytest
import tensorflow as tf

from mtnet_tf import _keras

ROOT = Path(__file__).resolve().parents[2]
CHANGED = "This version of Keras or TensorFlow has changed a private name that _keras.py uses: {}"
# Private names of NamedTuple and argparse, which are documented.
DOCUMENTED = {"_replace", "_asdict", "_fields", "_SubParsersAction"}


def sources():
    for package in ("mtnet_tf", "data_prep", "maml_baselines", "benchmarks", "examples"):
        yield from (ROOT / package).rglob("*.py")
    yield from (ROOT / "main.py", ROOT / "mtnet_tf_cli.py")


def foreign_private_names(tree):
    """Private attributes of other objects, and imports of private modules, in a file."""
    own = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    own |= {t.attr for n in ast.walk(tree) if isinstance(n, ast.Assign) for t in n.targets
            if isinstance(t, ast.Attribute)}  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module.startswith(("keras.src", "tensorflow.python")):
                yield node.module
        elif isinstance(node, ast.Attribute):
            is_private = node.attr.startswith("_") and not node.attr.startswith("__")
            if is_private and node.attr not in own | DOCUMENTED and not is_self(node.value):
                yield node.attr
            if node.attr == "src" and isinstance(node.value, ast.Name) and node.value.id == "keras":
                yield "keras.src"


def is_self(node):
    is_super = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "super"
    return is_super or getattr(node, "id", "") in ("self", "cls")


def test_only_one_file_uses_private_names():
    for path in sources():
        if path.name != "_keras.py":
            assert not list(foreign_private_names(ast.parse(path.read_text()))), path


@pytest.mark.parametrize(
    "code",
    [
        "model._flatten_layers()",
        "from keras.src.models import functional",
        "import keras\nkeras.src.saving.serialization_lib",
    ],
)
def test_a_private_name_is_noticed(code):
    assert list(foreign_private_names(ast.parse(code)))


@pytest.fixture
def model():
    inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3), keras.layers.Dropout(0.5)])
    inputs = keras.Input((3,))
    return keras.Model(inputs, keras.layers.Dense(1)(inner(inputs)))


def test_layers_are_listed_with_those_inside(model):
    kinds = [type(x).__name__ for x in _keras.flatten_layers(model)]
    expected = {"Functional", "InputLayer", "Sequential", "Dense", "Dropout"}
    assert set(kinds) == expected and kinds.count("Dense") == 2, CHANGED.format("_flatten_layers")
    inside = _keras.flatten_layers(model, include_self=False)
    assert model not in inside, CHANGED.format("_flatten_layers")


def test_functional_is_the_class_of_functional_models(model):
    assert isinstance(model, _keras.Functional), CHANGED.format("Functional")
    assert not isinstance(keras.Sequential(), _keras.Functional), CHANGED.format("Functional")


def test_a_layer_knows_its_seed_generators():
    (generator,) = _keras.seed_generators(keras.layers.Dropout(0.5))
    assert isinstance(generator, keras.random.SeedGenerator), CHANGED.format("_seed_generators")
    assert not _keras.seed_generators(keras.layers.Dense(1)), CHANGED.format("_seed_generators")


@pytest.mark.parametrize("accumulation", [None, 2])
def test_batches_are_counted_also_while_gradients_accumulate(accumulation):
    variable = keras.Variable([1.0])
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=accumulation)
    optimizer.build([variable])
    for _ in range(3):
        optimizer.apply_gradients([(tf.constant([1.0]), variable)])
    assert int(_keras.batch_counter(optimizer)) == 3, CHANGED.format("_iterations")


def test_the_loss_of_a_compiled_model_is_averaged_in_a_mean(model):
    model.compile("sgd", "mean_squared_error")
    tracker = _keras.loss_tracker(model)
    assert isinstance(tracker, keras.metrics.Mean), CHANGED.format("_loss_tracker")
    assert int(tracker.count) == 0, CHANGED.format("_loss_tracker")


def test_a_graph_tells_the_functions_that_it_calls():
    inner = tf.function(lambda x: x + 1.0)
    graph = tf.function(lambda x: inner(x)).get_concrete_function(tf.constant(1.0)).graph
    assert len(list(_keras.graph_functions(graph))) == 1, CHANGED.format("_functions")
