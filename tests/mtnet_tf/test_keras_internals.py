"""Private names of Keras and TensorFlow: used in one file, and still what they were."""

import ast
import itertools
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


# Private modules, also when a part of the path is imported by itself.
PRIVATE_MODULES = ("keras.src", "keras._", "tensorflow.python", "tf.python", "tensorflow._")
TAKE_NAMES = {"getattr", "setattr", "hasattr", "delattr"}


def names_defined_in(trees):
    """Private names that the classes and modules of this project define."""
    own = set()
    for node in itertools.chain.from_iterable(map(ast.walk, trees)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            own.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            parts = itertools.chain.from_iterable(map(ast.walk, targets))
            own |= {p.attr for p in parts if isinstance(p, ast.Attribute) and is_self(p.value)}
            own |= {t.id for t in targets if isinstance(t, ast.Name)}
    return own


def foreign_private_names(tree, own=frozenset()):
    """Private names in a file that are not among `own`, and imports of private modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            used = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            used = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute):
            used = [node.attr, *(p for p in PRIVATE_MODULES if ast.unparse(node).startswith(p))]
        elif getattr(getattr(node, "func", None), "id", "") in TAKE_NAMES:
            used = [a.value for a in node.args if isinstance(a, ast.Constant)]
        else:
            continue
        for name in map(str, used):
            is_private = name.startswith("_") and not name.startswith("__")
            is_private = is_private and name not in own | DOCUMENTED
            if is_private or name.startswith(PRIVATE_MODULES):
                yield name


def is_self(node):
    return getattr(node, "id", "") in ("self", "cls")


def test_only_one_file_uses_private_names():
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sources()}
    own = names_defined_in(trees.values())
    for path, tree in trees.items():
        if path.name != "_keras.py":
            assert not list(foreign_private_names(tree, own)), path


@pytest.mark.parametrize(
    "code",
    [
        "model._flatten_layers()",
        "from keras.src.models import functional",
        "import keras\nkeras.src.saving.serialization_lib",
        "import keras.src.models",
        "from keras import src",
        "from keras._src import x",
        "import tensorflow.python.ops",
        "from tensorflow import python",
        "tf.python.x",
        "getattr(model, '_loss_tracker')",
        "class Model(keras.Model):\n    def f(self):\n        return self._loss_tracker",
        "super()._loss_tracker",
        "model._train_counter = 3",
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
