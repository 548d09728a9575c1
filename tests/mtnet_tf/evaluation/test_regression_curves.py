import numpy as np
import pytest

from mtnet_tf import MetaLearner, Polynomials, networks
from mtnet_tf.evaluation.regression_curves import regression_curves


def test_wrong_numbers_of_steps_are_stated_as_a_whole():
    learner = MetaLearner(networks.regression_network(), 0.05)
    with pytest.raises(ValueError, match=r"`steps` must .*Received: steps=\(0, -1\)\.$"):
        regression_curves(learner, Polynomials(2), steps=[0, -1])


def test_curves_start_at_the_initial_network_and_approach_the_support_set():
    learner = MetaLearner(networks.regression_network(cell_options={"mask": None}), 0.05)
    learner.compile("adam", "mean_squared_error", jit_compile=False)
    tasks = Polynomials(2, num_queries=50)
    curves = regression_curves(learner, tasks, num_tasks=3, steps=(0, 20))
    assert curves.predictions.shape == (2, 3, 50)
    assert np.all(np.diff(curves.x) >= 0)
    initial = learner.model(curves.x[0][:, None])[:, 0]
    np.testing.assert_allclose(curves.predictions[0, 0], initial, atol=1e-6)
    errors = np.square(curves.predictions - curves.y).mean(-1)
    assert errors[1].mean() < 0.5 * errors[0].mean()
    tasks = zip(curves.x, curves.y, curves.support_x, curves.support_y, strict=True)
    for x, y, support_x, support_y in tasks:
        polynomial = np.polynomial.polynomial.polyfit(x, y, 2)
        on_curve = np.polynomial.polynomial.polyval(support_x, polynomial)
        np.testing.assert_allclose(on_curve, support_y, atol=1e-4)


def test_curves_are_drawn_before_adaptation_and_after_1_to_10_steps():
    learner = MetaLearner(networks.regression_network(dim_hidden=(4,)), 0.01)
    learner.compile("adam", "mean_squared_error", jit_compile=False)
    curves = regression_curves(learner, Polynomials(1, num_queries=20))
    assert tuple(curves.steps) == (0, 1, 2, 5, 10)
    assert curves.predictions.shape == (5, 4, 20)
