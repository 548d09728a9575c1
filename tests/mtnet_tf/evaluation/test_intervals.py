import numpy as np

from mtnet_tf import bootstrap_interval, summarize


def test_summary_is_mean_and_normal_interval():
    summary = summarize(np.array([[1.0, 2.0], [3.0, 2.0], [5.0, 2.0], [7.0, 2.0]]))
    np.testing.assert_allclose(summary.mean, [4.0, 2.0])
    np.testing.assert_allclose(summary.std, [np.sqrt(5), 0.0])
    np.testing.assert_allclose(summary.ci95, [1.96 * np.sqrt(5) / 2, 0.0])


def test_one_episode_has_no_interval():
    assert np.isnan(summarize(np.array([[0.5]])).ci95).all()


def test_bootstrap_agrees_with_the_normal_interval_for_normal_scores(rng):
    scores = rng.normal(size=(600, 2))
    low, high = bootstrap_interval(scores)
    summary = summarize(scores)
    np.testing.assert_allclose((high - low) / 2, summary.ci95, rtol=0.06)
    np.testing.assert_allclose((high + low) / 2, summary.mean, atol=0.01)


def test_bootstrap_stays_in_the_range_of_the_scores():
    scores = np.array([1.0] * 99 + [0.8])  # the normal interval ends above 1
    low, high = bootstrap_interval(scores)
    assert 0.99 < low < high <= 1.0
