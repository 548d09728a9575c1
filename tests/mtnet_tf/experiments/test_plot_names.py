import os

import numpy as np

from mtnet_tf.evaluation import calibration
from mtnet_tf.experiments.plots import plot_answers


def test_classes_of_any_name_are_plotted(tmp_path, rng):
    names = [os.fsdecode(b"cat\xff"), "two\nlines", "$x^$", "$x^2$", "\u732b", "Cat", "cat", "\x1b"]
    size = len(names)
    probabilities, labels = rng.dirichlet(np.ones(size), (4, 6)), rng.integers(0, size, (4, 6))
    found = calibration(probabilities, labels)
    plot_answers(found, rng.random((size, size)), names, tmp_path / "a.png", "title")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
