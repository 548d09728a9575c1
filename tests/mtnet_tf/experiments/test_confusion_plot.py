"""Plots are drawn without a warning: pytest turns warnings into errors."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mtnet_tf.experiments.confusion_plot import Confusion, draw_confusion


def draw(confusion):
    figure = Figure(layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    draw_confusion(figure, axis, confusion)
    figure.canvas.draw()
    return axis


def confusion_of(names, **options):
    """The class number i is mistaken i times for class 0, in 2 i episodes."""
    counts = np.zeros((len(names), len(names)))
    counts[:, 0] = np.arange(len(names))
    return Confusion(counts, 2 * counts, names, **options)


def texts(axis):
    return [text.get_text() for text in axis.texts]


def test_few_classes_are_a_matrix_with_percentages():
    axis = draw(confusion_of(["a/x1", "a/x2", "b/x1"]))
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a 1", "a 2", "b 1"]
    np.testing.assert_array_equal(axis.images[0].get_array()[1:, 0], [50, 50])
    assert texts(axis) == ["50", "50"]


@pytest.mark.parametrize("channels", [1, 3])
def test_many_classes_are_pairs_with_pictures_of_both(channels):
    names = [f"Greek/character{i:02d}" for i in range(50)]
    drawn = []

    def picture_of(row):
        drawn.append(row)
        return np.full((4, 4, channels), row, np.uint8)

    axis = draw(confusion_of(names, picture_of=picture_of))
    assert texts(axis)[0] == "Greek 49\npredicted as Greek 00\n49 of 98 (50%)"
    assert len(texts(axis)) == 8 and len(axis.child_axes) == 16
    assert drawn[:4] == [49, 0, 48, 0]
    np.testing.assert_array_equal(axis.child_axes[0].images[0].get_array().max(), 49)


def test_without_pictures_and_without_mistakes_there_is_still_a_plot():
    names = [f"label {i}" for i in range(30)]
    assert draw(confusion_of(names)).texts
    perfect = Confusion(np.eye(30), np.ones((30, 30)), names)
    assert draw(perfect).get_title() == "no mistakes among 30 classes"
    assert draw(Confusion(np.eye(1), np.ones((1, 1)), ["a"])).images


@pytest.mark.parametrize("num_classes", [5, 25])
def test_every_name_can_be_drawn(num_classes):
    names = ["$x^$", "two\nlines", "caf\udce9", "\u30ab\u30bf", "\U0001f600\\", "a_{b}$"]
    draw(confusion_of((names * 5)[:num_classes]))
