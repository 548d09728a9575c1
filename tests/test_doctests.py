"""The examples in public docstrings run."""

import doctest
import importlib
import pkgutil

import pytest

import data_prep
import maml_baselines
import mtnet_tf

MODULES = [
    module.name
    for package in (data_prep, mtnet_tf, maml_baselines)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.testmod(module, optionflags=flags).failed == 0


def test_the_main_classes_have_an_example():
    for thing in (mtnet_tf.MetaLearner, mtnet_tf.MaskLogits, mtnet_tf.to_mtnet, mtnet_tf.audit):
        assert doctest.DocTestFinder(recurse=False).find(thing)[0].examples, thing
