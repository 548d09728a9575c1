"""The order of folders: lower never imports higher."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ORDER = ["data_prep", "mtnet_tf", "maml_baselines", "main"]
ALLOWED = {
    "data_prep": set(),
    "mtnet_tf": {"data_prep"},
    "maml_baselines": {"data_prep", "mtnet_tf"},
}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("folder", ALLOWED)
def test_lower_never_imports_higher(folder):
    others = set(ORDER) - {folder} - ALLOWED[folder]
    for path in (ROOT / folder).rglob("*.py"):
        assert not others & set(imported(path)), path


def test_data_preparation_needs_no_tensorflow():
    for path in (ROOT / "data_prep").rglob("*.py"):
        assert not {"tensorflow", "keras"} & set(imported(path)), path


def test_only_the_command_line_knows_flags():
    for folder in ALLOWED:
        for path in (ROOT / folder).rglob("*.py"):
            assert "absl" not in imported(path), path
