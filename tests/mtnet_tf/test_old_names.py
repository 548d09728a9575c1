"""Whatever could be imported from version 0.1.0 still can, and says where it is now."""

import importlib
import warnings
from pathlib import Path

import pytest

import mtnet_tf
from mtnet_tf import _old_names, layers, meta

# "module name" of everything that version 0.1.0 defined under a public name.
LISTED = Path(__file__).with_name("names_of_0.1.0.txt").read_text().splitlines()
# LLAMA observes cells with its own function; the generator of seeds is fixed; settings validate
# themselves; plots of many classes and the numerical derivatives work in another way; a copied
# layer is more than its configuration.
WITHOUT_COUNTERPART = {
    "mtnet_tf.evaluation_report MOST_NAMED_CLASSES",
    "mtnet_tf.fast_weights CellPass",
    "mtnet_tf.numerical ATTEMPTS",
    "mtnet_tf.plots LONGEST_NAME",
    "mtnet_tf.rebuilding new_layer",
    "mtnet_tf.seeds ALGORITHM",
    "mtnet_tf.settings check",
}


def test_the_names_of_an_older_version_can_be_imported():
    for line in sorted(set(LISTED) - WITHOUT_COUNTERPART):
        module, name = line.split()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            assert getattr(importlib.import_module(module), name) is not None, line


@pytest.mark.parametrize("old", _old_names.NAMES)
def test_a_renamed_object_warns_and_is_the_new_one(old):
    parent, _, leaf = f"mtnet_tf.{old}".rpartition(".")
    new_parent, _, new_leaf = _old_names.NAMES[old].rpartition(".")
    with pytest.warns(DeprecationWarning, match=f"`mtnet_tf.{old}` is now `{new_parent}.") as found:
        value = getattr(importlib.import_module(parent), leaf)
    assert found[0].filename == __file__
    assert value is getattr(importlib.import_module(new_parent), new_leaf)


def test_an_object_of_a_moved_module_warns_and_is_the_same_one():
    with pytest.warns(DeprecationWarning, match="masks.hard_mask` is now `mtnet_tf.layers"):
        from mtnet_tf.masks import hard_mask
    assert hard_mask is layers.masks.hard_mask
    with pytest.warns(DeprecationWarning, match="now `mtnet_tf.meta.losses.FewShotCross"):
        assert mtnet_tf.losses.FewShotCrossentropy is meta.FewShotCrossentropy


def test_the_module_of_a_function_of_the_same_name_does_not_replace_it():
    with pytest.warns(DeprecationWarning, match="now `mtnet_tf.diagnostics.audit.Audit`"):
        from mtnet_tf.audit import Audit
    assert mtnet_tf.Audit is Audit
    assert callable(mtnet_tf.audit)


def test_a_trajectory_has_its_old_name():
    with pytest.warns(DeprecationWarning, match="`trajectory` is now `weights`"):
        assert meta.InnerTrajectory([[]], []).trajectory == [[]]


def test_an_unknown_name_raises_an_error():
    for module in (mtnet_tf, mtnet_tf.masks, mtnet_tf.seeds):
        with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
            module.nonsense  # noqa: B018
