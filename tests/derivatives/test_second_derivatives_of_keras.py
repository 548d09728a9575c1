"""The table of second derivatives is complete, agrees with its page, and still holds (slow)."""

import re

import keras
import pytest

from mtnet_tf.diagnostics.derivative_rules import LAYER_RULES

from .function_rows import ACTIVATIONS, FUNCTION_ROWS, NOT_APPLICABLE_LOSSES
from .layer_rows import LAYER_ROWS, NOT_APPLICABLE
from .measure import measure
from .report import PAGE, ROWS, page, stored

BAD = {"wrong", "first derivative wrong", "first-order only", "no gradient"}
# Layers that `MetaLearner` finds by their operations, and not by their class.
BY_OPERATION = {"CenterCrop", "Activation", "TimeDistributed"}
# Layers whose true derivative is zero, or does not exist.
PIECEWISE_CONSTANT = {"RandomPosterization", "ContrastLimitedAdaptiveHistogramEqualization"}


def names_of_classes(module):
    """The names of each class of a module, which include short forms."""
    names = {}
    for name in dir(module):
        if isinstance(getattr(module, name), type):
            names.setdefault(getattr(module, name), set()).add(name)
    return list(names.values())


def test_every_layer_of_keras_is_measured_or_has_a_reason():
    """If this fails, Keras has a new layer: add it to layer_rows.py and measure again."""
    measured = {row.name for row in LAYER_ROWS}
    assert not measured & set(NOT_APPLICABLE)
    known = measured | set(NOT_APPLICABLE)
    assert not [names for names in names_of_classes(keras.layers) if not names & known]


def test_every_activation_and_loss_is_measured():
    codes = " ".join(row.code for row in FUNCTION_ROWS)
    assert all(f"activations.{name}(" in codes for name in ACTIVATIONS)
    losses = set(re.findall(r"losses\.(\w+)\(", codes)) | set(NOT_APPLICABLE_LOSSES)
    assert not [names for names in names_of_classes(keras.losses) if not names & losses]


def test_every_row_has_a_measurement():
    assert len(ROWS) == len(LAYER_ROWS) + len(FUNCTION_ROWS)  # all labels differ
    assert set(stored()[1]) == set(ROWS)


def test_the_page_shows_the_stored_measurements():
    """If this fails, run `python -m tests.derivatives --page`."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_wrong_layer_is_rejected_by_a_learner():
    found = {
        ROWS[label].name
        for label, modes in stored()[1].items()
        if ROWS[label] in LAYER_ROWS and {modes["eager"].verdict, modes["graph"].verdict} & BAD
    }
    assert found - PIECEWISE_CONSTANT == set(LAYER_RULES) | BY_OPERATION


@pytest.mark.slow
@pytest.mark.parametrize("label", ROWS)
def test_a_row_is_still_what_it_was(label):
    """If this fails, TensorFlow or Keras has changed: run `python -m tests.derivatives`."""
    versions, expected = stored()
    row = ROWS[label]
    if row in LAYER_ROWS and not hasattr(keras.layers, row.name):
        pytest.skip(f"Keras {keras.__version__} has no {row.name}")
    for mode, found in measure(row).items():
        before = expected[label][mode]
        assert (found.verdict, found.precision) == (before.verdict, before.precision), versions
        if found.verdict == "wrong" and before.second is not None:
            assert found.second == pytest.approx(before.second, rel=0.3)
