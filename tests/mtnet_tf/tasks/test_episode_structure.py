import collections
import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import Episode
from mtnet_tf.tasks import read_episode, split_last

SX, SY, QX, QY = (np.full([2, 3, 1], value, "float32") for value in (1, 2, 3, 4))
WEIGHT = np.ones([2, 3], "float32")
Alphabetical = collections.namedtuple("Alphabetical", "query_x query_y support_x support_y")
Sets = collections.namedtuple("Sets", "query support")


@dataclasses.dataclass
class Record:
    query_y: np.ndarray
    query_x: np.ndarray
    support_y: np.ndarray
    support_x: np.ndarray


STRUCTURES = {
    "pairs": ((SX, SY), (QX, QY)),
    "lists": [[SX, SY], [QX, QY]],
    "four arrays": (SX, SY, QX, QY),
    "Episode": Episode(SX, SY, QX, QY),
    "dict": {"query_x": QX, "query_y": QY, "support_x": SX, "support_y": SY},
    "named tuple": Alphabetical(QX, QY, SX, SY),
    "dataclass": Record(QY, QX, SY, SX),
    "dict of pairs": {"query": (QX, QY), "support": (SX, SY)},
    "dict of dicts": {"query": {"y": QY, "x": QX}, "support": {"y": SY, "x": SX}},
    "named tuple of pairs": Sets((QX, QY), (SX, SY)),
    "pair of dicts": ({"y": SY, "x": SX}, {"y": QY, "x": QX}),
    "as Keras passes it": (((SX, SY), (QX, QY)), None, None),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_parts_are_found_by_name_or_position(name):
    episode = read_episode(STRUCTURES[name])
    parts = (episode.support_x, episode.support_y, episode.query_x, episode.query_y)
    assert [float(part.flat[0]) for part in parts] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "data",
    [
        ((SX, SY, WEIGHT), (QX, QY, 2 * WEIGHT)),
        ({"x": SX, "y": SY, "sample_weight": WEIGHT}, {"x": QX, "y": QY, "weight": 2 * WEIGHT}),
        {**STRUCTURES["dict"], "query_weight": 2 * WEIGHT, "support_weight": WEIGHT},
    ],
)
def test_sample_weights_belong_to_their_set(data):
    episode = read_episode(data)
    assert episode.support == (episode.support_x, episode.support_y, episode.support_weight)
    assert float(episode.query[2][0, 0]) == 2.0


def test_inputs_may_be_structures():
    support_x, query_x = {"a": SX, "b": SX}, {"b": QX, "a": QX}
    for data in (((support_x, SY), (query_x, QY)), (support_x, SY, query_x, QY)):
        assert read_episode(data).query_x is query_x
    lists = read_episode((([SX, SX], SY), ([QX, QX], QY)))
    assert len(lists.support_x) == 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({**STRUCTURES["dict"], "supprt_w": SX}, r"unknown: \['supprt_w'\]"),
        ({"support_x": SX, "support_y": SY, "query_x": QX}, r"missing: \['query_y'\]"),
        ({"train": (SX, SY), "test": (QX, QY)}, r"the keys \['test', 'train'\]"),
        ((SX, QX), "The support set must be a pair"),
        ((SX, SY, QX), "a tuple of 3"),
        (SX, r"Received: an array of shape \[2, 3, 1\]"),
        (((SX, {"a": SY, "b": SY}), (QX, QY)), "`support_y` must be one array"),
        (((SX, SY[:, :2]), (QX, QY)), "of the support set must have the same numbers"),
        (((SX, SY, WEIGHT[:1]), (QX, QY)), "of the support set must have the same numbers"),
        (((SX, SY, SX[..., [0, 0]]), (QX, QY)), r"`support_weight` must be \[tasks, examples\]"),
        (({"a": SX, "b": SX[:, :1]}, SY, QX, QY), "of the support set must have the same"),
        (((SX, SY), (QX[:1], QY[:1])), "the same number of tasks"),
        (((SX[0, 0], SY), (QX, QY)), r"arrays \[tasks, examples, ...\]"),
        ([((SX, SY), (QX, QY))] * 3, "a list of 3"),
    ],
)
def test_other_structures_are_rejected(data, message):
    with pytest.raises(ValueError, match=message):
        read_episode(data)


def test_the_last_tasks_of_arrays_are_split_off():
    x = np.arange(10.0)[:, None, None] * np.ones([1, 2, 1])
    first, last = split_last((({"a": x}, x), ({"a": x}, x)), 0.2)
    assert first["support_x"]["a"][:, 0, 0].tolist() == list(range(8))
    assert last["query_y"][:, 0, 0].tolist() == [8, 9]
    for fraction in (0.0, 1.0, -0.5, 1.5, 0.999):
        with pytest.raises(ValueError, match="`validation_split` must be a fraction"):
            split_last((x, x, x, x), fraction)
    with pytest.raises(ValueError, match="episodes as arrays. Received: x=_RangeDataset"):
        split_last(tf.data.Dataset.range(3), 0.2)
