"""The structure of the three packages, computed from their imports.

An import of a unit means: `from package.unit import name`. A unit is a folder or a file directly
inside a package. Lower never imports higher, and nothing lies outside the structure.
"""

import ast
import itertools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# The units of each package in layers, the lowest first. A unit imports only from layers below.
LAYERS = {
    "data_prep": [
        {"errors"},
        {"io", "images"},
        {"packed"},
        {"preparation"},
        {"omniglot", "miniimagenet", "folder"},
        {"cli", "__init__"},
        {"__main__"},
    ],
    "mtnet_tf": [
        {"seeds", "_keras", "_old_names", "_version"},
        {"layers", "tasks"},
        {"meta", "networks"},
        {"conversion", "evaluation"},
        {"diagnostics"},
        {"adaptation"},
        {"learners"},
        {"experiments"},
        {"pictures"},
        {"__init__"},
    ],
    "maml_baselines": [
        {"published_recipes", "gradient", "metric"},
        {"methods"},
        {"resolving"},
        {"tables"},
        {"__init__", "__main__"},
    ],
}
# The package of each name that may be imported by a package of the project.
MAY_IMPORT = {
    "data_prep": set(),
    "mtnet_tf": {"data_prep"},
    "maml_baselines": {"data_prep", "mtnet_tf"},
    "mtnet_tf_cli": {"data_prep", "mtnet_tf", "maml_baselines"},
    "main": {"mtnet_tf_cli"},
}
# What may lie at the top of the repository next to the packages, with Python files in it.
TOP_FILES = {"main.py", "mtnet_tf_cli.py", "setup.py"}
TOP_FOLDERS = {*LAYERS, "tests", "benchmarks", "examples"}
# Largest number of units, layers and edges between units.
LARGEST = {"data_prep": (11, 8, 40), "mtnet_tf": (16, 8, 50), "maml_baselines": (8, 8, 20)}
# Files in which flags may be named: ours, and those of XLA.
COMMAND_LINES = {
    "main.py",
    "mtnet_tf_cli.py",
    "mtnet_tf/experiments/flags.py",
    "mtnet_tf/experiments/compilation_cache.py",
    "data_prep/cli.py",
    "maml_baselines/__main__.py",
}


def files_of(package):
    path = ROOT / package
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def name_of(path):
    """The dotted name of a module: mtnet_tf.meta.losses."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imports(path):
    """(module, name or None) of every import in a file, those inside functions included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from ((node.module, alias.name) for alias in node.names)


def unit_of(package, module, name=None):
    """The unit that an import or a file of the package belongs to."""
    parts = module.split(".")[1:]
    if parts:
        return parts[0]
    units = set().union(*LAYERS[package])
    return name if name in units else "__init__"


def edges(package):
    """Pairs (importing unit, imported unit)."""
    found = set()
    for path in files_of(package):
        here = unit_of(package, name_of(path))
        for module, name in imports(path):
            if module.split(".")[0] == package:
                found.add((here, unit_of(package, module, name)))
    return {(a, b) for a, b in found if a != b}


def depth(graph, unit):
    """Number of units on the longest way down from a unit."""
    return 1 + max((depth(graph, b) for a, b in graph if a == unit), default=0)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_import_only_what_lies_below(package):
    for path in files_of(package):
        for module, _ in imports(path):
            top = module.split(".")[0]
            assert top not in MAY_IMPORT or top in MAY_IMPORT[package] | {package}, path


@pytest.mark.parametrize("package", LAYERS)
def test_no_unit_lies_outside_the_structure(package):
    known = set().union(*LAYERS[package])
    assert {unit_of(package, name_of(path)) for path in files_of(package)} == known
    assert len(known) <= LARGEST[package][0]


def outside_the_packages(root):
    """Python files and folders with Python files at the top of a repository that are not known."""
    hidden_or_built = {"build", "dist", "data", "runs", "logs"}  # as in .gitignore
    files = {path.name for path in root.glob("*.py")}
    folders = {path.parent.name for path in root.glob("*/*.py")} - hidden_or_built
    return files - TOP_FILES | {f for f in folders - TOP_FOLDERS if not f.startswith(".")}


def test_no_module_lies_outside_the_packages():
    assert not outside_the_packages(ROOT)


def test_a_module_outside_the_packages_is_noticed(tmp_path):
    for name in ("main.py", "helpers.py", "tests/conftest.py", "more/__init__.py", "tools/run.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert outside_the_packages(tmp_path) == {"helpers.py", "more", "tools"}


@pytest.mark.parametrize("package", LAYERS)
def test_units_import_only_from_layers_below(package):
    layer = {unit: i for i, units in enumerate(LAYERS[package]) for unit in units}
    graph = edges(package)
    upward = {(a, b) for a, b in graph if layer[a] <= layer[b]}
    assert not upward
    _, most_layers, most_edges = LARGEST[package]
    assert max(depth(graph, unit) for unit in layer) <= most_layers
    assert len(graph) <= most_edges


def public_names(module):
    """`__all__` of a package or subpackage, or None if the module is a file."""
    init = ROOT / module.replace(".", "/") / "__init__.py"
    if not init.is_file():
        return None
    for node in ast.parse(init.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def may_be_imported(here, module, name):
    """Whether a module may import a name from a module of this project.

    Inside a unit everything may be imported. Elsewhere a subpackage gives the names in its
    `__all__`, and a package also its units; private files are for their own package.
    """
    package, *rest = module.split(".")
    if rest and here.split(".")[:2] == [package, rest[0]]:
        return True
    if len(rest) > 1:
        return False
    unit = rest[0] if rest else name
    if here.split(".")[0] != package and unit and re.match("_[^_]", unit):
        return False
    public = public_names(module)
    if not rest:
        return name in public | set().union(*LAYERS[package]) - {"__init__", "__main__"}
    return name in public if public is not None else name is not None


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_other_units_are_imported_through_their_public_names(package):
    for path in files_of(package):
        for module, name in imports(path):
            if module.split(".")[0] in LAYERS:
                assert may_be_imported(name_of(path), module, name), (path, module, name)


@pytest.mark.parametrize(
    ("here", "module", "name", "allowed"),
    [
        ("mtnet_tf.meta.losses", "mtnet_tf.meta.inner_loop", "adapt", True),
        ("mtnet_tf.meta.losses", "mtnet_tf.layers", "TWLayer", True),
        ("mtnet_tf.meta.losses", "mtnet_tf.layers.tw_layer", "TWLayer", False),
        ("mtnet_tf.meta.losses", "mtnet_tf.layers", "tw_layer", False),
        ("mtnet_tf.meta.losses", "mtnet_tf.layers", None, False),
        ("mtnet_tf.meta.losses", "mtnet_tf", "seeds", True),
        ("mtnet_tf.meta.losses", "mtnet_tf._keras", "flatten_layers", True),
        ("maml_baselines.tables.files", "mtnet_tf.experiments", "reports", False),
        ("maml_baselines.tables.files", "mtnet_tf._keras", "flatten_layers", False),
        ("maml_baselines.tables.files", "mtnet_tf", "_keras", False),
        ("maml_baselines.tables.files", "mtnet_tf", "flatten_layers", False),
    ],
)
def test_an_import_of_what_is_not_public_is_noticed(here, module, name, allowed):
    assert may_be_imported(here, module, name) == allowed


def test_files_of_a_package_import_each_other_without_a_cycle():
    graph = {}
    for package in LAYERS:
        for path in files_of(package):
            here = name_of(path)
            targets = {m if n is None else f"{m}.{n}" for m, n in imports(path)}
            targets |= {m for m, _ in imports(path)}
            # An `__init__` imports its own files, and they do not import it.
            graph[here] = {t for t in targets if t.split(".")[0] == package} - {here}
    modules, done = set(graph), set()

    def visit(module, trail):
        assert module not in trail, " -> ".join([*trail[trail.index(module) :], module])
        if module not in done:
            for target in graph[module] & modules:
                visit(target, [*trail, module])
            done.add(module)

    for module in modules:
        visit(module, [])


def imported_units(package, unit):
    """What a subpackage imports: units of its package, and `other_package.unit`."""
    found = {b for a, b in edges(package) if a == unit}
    for path in (ROOT / package / unit).rglob("*.py"):
        for module, name in imports(path):
            top = module.split(".")[0]
            if top in LAYERS and top != package:
                found.add(f"{top}.{unit_of(top, module, name)}".removesuffix(".__init__"))
    return found


@pytest.mark.parametrize("package", LAYERS)
def test_each_subpackage_says_what_it_contains_and_imports(package):
    for init in (ROOT / package).glob("*/__init__.py"):
        text = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8")))
        contents, found, allowed = text.partition("May import: ")
        assert contents.strip() and found, init
        named = set(re.findall("`([^`]+)`", allowed))
        imported = imported_units(package, init.parent.name)
        unnamed = {unit for unit in imported if not {unit, unit.split(".")[0]} & named}
        unused = {n for n in named if not any(f"{i}.".startswith(f"{n}.") for i in imported)}
        assert not unnamed and not unused, (init, unnamed, unused)


def test_no_file_name_occurs_in_two_packages():
    names = {p: {f.name for f in files_of(p)} - {"__init__.py", "__main__.py"} for p in LAYERS}
    for a, b in itertools.combinations(names.values(), 2):
        assert not a & b


def test_data_preparation_needs_no_tensorflow():
    for path in files_of("data_prep"):
        assert not {"tensorflow", "keras"} & {m.split(".")[0] for m, _ in imports(path)}, path


def strings(tree):
    """Every string constant except docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in docstrings:
            yield node.value


def names_flags(tree):
    """Whether a string of the code names a flag: two dashes and a letter, or two dashes to add to.

    The second form is `f"--{name}"` or `"--" + name`.
    """
    for text in strings(tree):
        for i in range(len(text)):
            starts = text[i : i + 2] == "--" and text[i - 1 : i] != "-"
            rest = text[i + 2 :]
            if starts and (not rest or rest[0].isalpha() or rest[0] in "%{"):
                return True
    return False


def test_only_the_command_lines_name_flags():
    for package in MAY_IMPORT:
        for path in files_of(package):
            known = path.relative_to(ROOT).as_posix() in COMMAND_LINES
            assert known or not names_flags(ast.parse(path.read_text())), path


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('raise ValueError("--seed must be positive")', True),
        ('f"add {x} with --run={y}"', True),
        ('f"--{name} must be positive"', True),
        ('"--" + name', True),
        ('"--%s must be positive" % name', True),
        ('"--%(name)s must be positive" % names', True),
        ('"--{} must be positive".format(name)', True),
        ('"| --- | ---- |"', False),
        ('def f():\n    "Like --seed."', False),
    ],
)
def test_a_flag_in_a_message_is_noticed(code, found):
    assert names_flags(ast.parse(code)) == found
