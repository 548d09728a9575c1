import numpy as np
import pytest

from mtnet_tf import ImageClasses, MetaLearner
from mtnet_tf.experiments import Settings, build_learner

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
