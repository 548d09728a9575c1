"""Private names of Keras and TensorFlow: used in one file, and still what they were."""

import ast
import itertools
import re
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


# Private modules, written out or behind a short name of the package.
PRIVATE_MODULE = re.compile(
    r"(keras|tensorflow|tensorflow\.keras|tf_keras|tensorflow_probability)"
    r"\.(src|python|core|compiler|_(?!_)\w+)(\.|$)"
)
SHORT_NAMES = {"tf": "tensorflow", "tfp": "tensorflow_probability"}
# Functions and methods, such as `monkeypatch.setattr`, that take a name or a module as a string.
TAKE_NAMES = {"getattr", "setattr", "hasattr", "delattr", "attrgetter", "methodcaller"}
TAKE_NAMES |= {"import_module", "__import__", "patch"}


def names_defined_in(trees):
    """Private names that the classes and modules of this project define."""
    own = set()
    for node in itertools.chain.from_iterable(map(ast.walk, trees)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            own.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            own |= {node.attr} if is_self(node.value) else set()
        if isinstance(node, ast.Module | ast.ClassDef):  # not the local variables of functions
            kinds = ast.Assign | ast.AnnAssign
            targets = [t for s in node.body if isinstance(s, kinds) for t in ast.walk(s)]
            own |= {t.id for t in targets if is_stored_name(t)}
    return own


def foreign_private_names(tree, own=frozenset()):
    """Private names in a file that are not among `own`, and imports of private modules."""
    short = SHORT_NAMES | {
        alias.asname: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.asname
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            used = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            used = [alias.name for alias in node.names]
            used += [f"{node.module}.{name}" for name in used]
        elif isinstance(node, ast.Attribute):
            first, _, rest = ast.unparse(node).partition(".")
            used = [node.attr, f"{short.get(first, first)}.{rest}"]
        elif isinstance(node, ast.Call) and name_of_function(node.func) in TAKE_NAMES:
            used = [a.value for a in node.args if isinstance(a, ast.Constant)]
        else:
            continue
        for name in map(str, used):
            is_private = re.fullmatch(r"_(?!_)\w*", name) and name not in own | DOCUMENTED
            if is_private or PRIVATE_MODULE.match(name):
                yield name


def name_of_function(function):
    return getattr(function, "id", None) or getattr(function, "attr", None)


def is_stored_name(node):
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def is_self(node):
    return getattr(node, "id", "") in ("self", "cls")


def test_only_one_file_uses_private_names():
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sources()}
    own = names_defined_in(trees.values()) | {path.stem for path in trees}
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
        "from keras.models import _private",
        "import keras as k\nk.src.models",
        "import tensorflow.python.ops as ops\nops.x",
        "importlib.import_module('keras.src.models')",
        "getattr(model, '_loss_tracker')",
        "setattr(model, '_loss_tracker', None)",
        "hasattr(model, '_loss_tracker')",
        "monkeypatch.setattr(model, '_loss_tracker', None)",
        "operator.attrgetter('_loss_tracker')(model)",
        "class Model(keras.Model):\n    def f(self):\n        return self._loss_tracker",
        "super()._loss_tracker",
        "model._train_counter = 3",
    ],
)
def test_a_private_name_is_noticed(code):
    tree = ast.parse(code)
    assert list(foreign_private_names(tree, names_defined_in([tree])))


@pytest.mark.parametrize(
    "code",
    [
        "class Model(keras.Model):\n    def f(self):\n        self._mine = 3\n        self._mine",
        "class Model:\n    _mine: int = 3\nModel()._mine",
        "class Model:\n    def _mine(self): ...\nsuper()._mine()",
        "_MINE = 3\nfrom mtnet_tf.place import _MINE",
        "point._replace(x=3)",
        "tf.__version__, keras.__version__",
    ],
)
def test_a_name_of_this_project_is_not_foreign(code):
    tree = ast.parse(code)
    assert not list(foreign_private_names(tree, names_defined_in([tree])))


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


def test_a_loss_that_ignores_a_class_tells_which_values_count():
    loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=1)
    values = loss.call(tf.constant([0, 1]), tf.constant([[0.5, 0.5], [0.5, 0.5]]))
    counted = _keras.keras_mask(values)
    assert counted is not None, CHANGED.format("_keras_mask")
    assert counted.numpy().tolist() == [True, False]
    assert _keras.keras_mask(tf.zeros([2])) is None


def test_the_output_of_a_layer_tells_which_time_steps_count():
    mask = _keras.keras_mask(keras.layers.Embedding(3, 2, mask_zero=True)(tf.constant([[1, 0]])))
    assert mask is not None, CHANGED.format("_keras_mask")
    assert mask.numpy().tolist() == [[True, False]]


def test_a_lambda_layer_tells_the_shape_of_its_outputs():
    layer = keras.layers.Lambda(lambda x: x, output_shape=(3,))
    assert _keras.lambda_output_shape(layer) == (3,), CHANGED.format("_output_shape")


def test_an_open_tape_is_noticed():
    assert not _keras.is_recording(), CHANGED.format("could_possibly_record")
    with tf.GradientTape():
        assert _keras.is_recording(), CHANGED.format("could_possibly_record")


def test_an_input_tells_whether_it_is_optional():
    for optional in (True, False):
        inputs = keras.Input((3,), optional=optional)
        assert _keras.is_optional(inputs) == optional, CHANGED.format("_keras_history")
    assert not _keras.is_optional(keras.layers.Dense(2)(inputs)), CHANGED.format("_keras_history")
