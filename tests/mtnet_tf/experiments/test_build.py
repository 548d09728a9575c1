import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import ImageClasses, MetaLearner, Sinusoids
from mtnet_tf.experiments import Settings, build_learner
from mtnet_tf.experiments.training_run import loops_are_faster

OPTIONS = {"data_source": "omniglot", "num_ways": 2, "num_shots": 1, "num_filters": 2}


@pytest.fixture
def tasks(rng):
    images = rng.integers(0, 2, (9, 28, 28, 1), np.uint8) * 255
    return ImageClasses(images, [3, 3, 3], num_ways=2, num_shots=1, num_queries=1)


def test_training_and_validation_are_each_traced_once(tasks, monkeypatch):
    traces = []
    for name in ("train_step", "test_step"):
        step = getattr(MetaLearner, name)

        def traced(self, data, name=name, step=step):
            traces.append(name)
            return step(self, data)

        monkeypatch.setattr(MetaLearner, name, traced)
    settings = Settings(**OPTIONS, convolutional=False, jit_compile=False)
    learner = build_learner(settings, tasks)
    learner.fit(
        tasks,
        batch_size=2,
        steps_per_epoch=2,
        validation_data=tasks,
        validation_steps=2,
        verbose=0,
    )
    assert traces == ["train_step", "test_step"]


def test_a_loop_of_steps_on_images_equals_single_steps(tasks):
    settings = Settings(**OPTIONS, convolutional=False, use_mask=True, jit_compile=False)
    results = []
    for steps_per_execution in (1, 3):
        # Adam would magnify rounding errors of gradients that are almost 0.
        learner = build_learner(settings, tasks, optimizer=keras.optimizers.SGD(0.1))
        learner.steps_per_execution = steps_per_execution
        history = learner.fit(tasks, batch_size=2, steps_per_epoch=3, epochs=2, verbose=0)
        assert int(learner.optimizer.iterations) == 6
        results.append([*history.history["loss"], *(v.numpy() for v in learner.meta_parameters)])
    for single, looped in zip(*results, strict=True):
        np.testing.assert_allclose(looped, single, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("gpus", [[], ["a GPU"]])
def test_steps_on_images_are_looped_on_a_gpu_only(gpus, tasks, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    assert loops_are_faster(tasks) == bool(gpus)
    assert loops_are_faster(Sinusoids())
    streamed = ImageClasses(
        np.zeros([4, 28, 28, 1], np.uint8),
        [2, 2],
        num_ways=2,
        num_shots=1,
        num_queries=1,
        in_graph=False,
    )
    assert not loops_are_faster(streamed)
