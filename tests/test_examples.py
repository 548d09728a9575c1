"""The examples run as a reader runs them, and stay short."""

import ast

import pytest

from support import fresh_process

EXAMPLES = fresh_process.ROOT / "examples"
SHORT = {
    "layers_in_a_keras_model": "main()",
    "sinusoid_adaptation": "main(sys.argv[1], num_iterations=100)",
    "convert_and_meta_train": "main(num_iterations=5)",
    "add_a_method": "main(num_iterations=100)",
    "serve_saved_model": "main(num_iterations=100)",
}
SAYS = {
    "layers_in_a_keras_model": "sequential/tw_dense/transform: (40, 40)",
    "sinusoid_adaptation": "After 10 inner steps: mean squared error",
    "convert_and_meta_train": "Accuracy on new classes after one step:",
    "add_a_method": "sign: error",
    "serve_saved_model": "Task 1: mean squared error",
}


def test_every_example_is_short_and_run():
    files = {path.stem: path.read_text() for path in EXAMPLES.glob("*.py")}
    assert set(files) == set(SHORT)
    for name, text in files.items():
        assert len(text.splitlines()) < 60, name
        assert f"`{name}.py`" in (EXAMPLES / "README.md").read_text()


def test_a_method_has_as_many_lines_as_the_documentation_says():
    text = (EXAMPLES / "add_a_method.py").read_text()
    lines = {
        number for number, line in enumerate(text.splitlines(), 1) if line.split("#")[0].strip()
    }
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):  # a docstring
            lines -= set(range(node.lineno, node.end_lineno + 1))
    assert 25 <= len(lines) <= 30
    assert "about 30 lines of code" in (fresh_process.ROOT / "CONTRIBUTING.md").read_text()


@pytest.mark.example
@pytest.mark.parametrize("name", SHORT)
def test_example_runs(name, tmp_path):
    program = f"import sys; sys.path.insert(0, {str(EXAMPLES)!r})\nfrom {name} import main\n"
    said = fresh_process.run(program + SHORT[name], tmp_path / "picture.png", with_package=True)
    assert SAYS[name] in said
    if name == "sinusoid_adaptation":
        assert (tmp_path / "picture.png").stat().st_size > 10_000
