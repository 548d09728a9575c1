"""Shared fixtures: random episodes, and the reference data where a machine has it."""

import os
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf.tasks import Episode

# Commands in tests leave the user's cache of compiled programs alone.
os.environ.setdefault("TF_XLA_FLAGS", "--tf_xla_persistent_cache_directory=")


@pytest.fixture(autouse=True)
def initial_weights():
    """The same initial weights in every run: in a tiny network, all units of a layer may be off."""
    keras.utils.set_random_seed(1)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def shared():
    """Folder of reference numbers and real data, named by MTNET_SHARED."""
    if "MTNET_SHARED" not in os.environ:
        pytest.skip("needs the reference data: set MTNET_SHARED to its folder")
    return Path(os.environ["MTNET_SHARED"])


@pytest.fixture(scope="session")
def omniglot_source():
    """Folder of the real Omniglot."""
    source = Path(os.environ.get("MTNET_SHARED", ".")) / "data" / "omniglot"
    if "MTNET_SHARED" not in os.environ or not source.is_dir():
        pytest.skip(f"the real Omniglot is not at $MTNET_SHARED/data/omniglot ({source})")
    return source


@pytest.fixture
def image_episode(rng):
    """Function: (num_tasks, num_ways, image_shape, dtype) -> 1-shot `Episode` of noise."""

    def make(num_tasks=2, num_ways=3, image_shape=(28, 28, 1), dtype="float64"):
        x = tf.constant(rng.random((2, num_tasks, num_ways, *image_shape)), dtype)
        y = tf.tile(tf.range(num_ways)[None], [num_tasks, 1])
        return Episode(x[0], y, x[1], y)

    return make


@pytest.fixture
def regression_episode(rng):
    """Function: (num_tasks, num_examples, dtype) -> `Episode` of random points."""

    def make(num_tasks=3, num_examples=5, dtype="float64"):
        x = tf.constant(rng.normal(size=(4, num_tasks, num_examples, 1)), dtype)
        return Episode(*tf.unstack(x))

    return make
