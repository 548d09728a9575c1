"""Random numbers: those of TensorFlow, with and without XLA."""

import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import seeds

SEEDS = [[0, 0], [1, -2], [-(2**31), 2**31 - 1], [123456789, -987654321]]
PHILOX = {"alg": "philox"}


@pytest.fixture(params=[None, False, True], ids=["eager", "graph", "xla"])
def run(request):
    """Calls a function eagerly, as a graph, or compiled; returns arrays."""

    def call(function, *arguments):
        if request.param is not None:
            function = tf.function(function, jit_compile=request.param)
        return [np.array(value) for value in tf.nest.flatten(function(*arguments))]

    return call


@pytest.mark.parametrize("seed", SEEDS)
def test_numbers_are_those_of_tensorflow(seed, run):
    seed = tf.constant(seed, tf.int32)

    def ours(seed, high):
        return (
            seeds.derive(seed, 7),
            seeds.derive_each(seed, [3, high]),
            seeds.split(seed, 3),
            seeds.uniform([3, 5], seed),
            seeds.uniform([], seed),
            seeds.integers([4, high], seed, high),
        )

    high = tf.constant(9)
    random = tf.random
    fold_in = random.experimental.stateless_fold_in
    bits = random.stateless_uniform([3, 5], seed, None, None, tf.uint32, **PHILOX)
    scalar = random.stateless_uniform([], seed, None, None, tf.uint32, **PHILOX)
    expected = [
        *(fold_in(seed, number, **PHILOX) for number in (7, 3, 9)),
        *tf.unstack(random.experimental.stateless_split(seed, 3, **PHILOX)),
        tf.cast(bits // 256, tf.float32) / 2**24,
        tf.cast(scalar // 256, tf.float32) / 2**24,
        random.stateless_uniform([4, 9], seed, 0, 9, tf.int32, **PHILOX),
    ]
    for value, wanted in zip(run(ours, seed, high), expected, strict=True):
        np.testing.assert_array_equal(value, wanted)


@pytest.mark.parametrize("number", [0, 5, 2**31 - 1])
def test_a_seed_of_a_run_depends_on_seed_purpose_and_iteration(number, run):
    purpose = seeds.Purpose.TRAIN_MASKS
    (found,) = run(lambda n: seeds.stateless_seed(2**31 + 3, purpose, n), tf.constant(number))
    base = tf.constant([3, int(purpose)])
    expected = tf.random.experimental.stateless_fold_in(base, tf.constant(number), **PHILOX)
    np.testing.assert_array_equal(found, expected)
