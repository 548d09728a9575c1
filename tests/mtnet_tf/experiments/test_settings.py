"""Settings validate themselves."""

import dataclasses
import json

import numpy as np
import pytest

from mtnet_tf.experiments.flags import resolve
from mtnet_tf.experiments.settings import Settings


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"data_source": "cifar"}, "`data_source` must be one of"),
        ({"recipe": "mine"}, "`recipe` must be one of"),
        ({"norm": "instance"}, "`norm` must be one of"),
        ({"num_inner_steps": -1}, "`num_inner_steps` must not be negative. Received: .*=-1"),
        ({"step_size": 0.0}, "`step_size` must be positive. Received: step_size=0.0"),
        ({"baseline": "oracle", "data_source": "omniglot"}, "`baseline=oracle` requires"),
        ({"synthetic": True}, "`synthetic` replaces Omniglot"),
        ({"meta_learning_rate": float("inf")}, "`meta_learning_rate` must be a finite number"),
        ({"initial_mask_logits": float("nan")}, "`initial_mask_logits` must be a finite number"),
        ({"trained_step_size": 0.4}, "`trained_step_size` .* requires `train=False`"),
        ({"num_queries": -1}, "`num_queries` must not be negative"),
        ({"num_test_episodes": 1}, "`num_test_episodes` must be at least 2"),
        ({"image_size": 0}, "`image_size` must be positive"),
        ({"num_train_classes": 0}, "`num_train_classes` must be at least 2"),
        ({"num_ways": "5"}, "`num_ways` must be an integer. Received: num_ways='5'"),
        ({"num_ways": True}, "`num_ways` must be an integer"),
        ({"train": 1}, "`train` must be True or False"),
        ({"norm": None}, "`norm` must be text"),
        ({"method": 3}, "`method` must be text or None"),
    ],
)
def test_error_names_the_first_wrong_setting(given, message):
    with pytest.raises(ValueError, match=message):
        resolve(given)


def test_settings_are_frozen_and_checked_when_replaced():
    settings = Settings()
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.seed = 1
    assert settings.replace(seed=1).seed == 1
    with pytest.raises(ValueError, match="`seed` must not be negative"):
        settings.replace(seed=-1)


def test_numbers_of_numpy_are_stored_as_those_of_python():
    made = Settings(num_ways=np.int64(3), step_size=np.float32(0.5), seed=np.array(4))
    assert made == Settings(num_ways=3, step_size=0.5, seed=4)
    json.dumps(made.as_dict())
