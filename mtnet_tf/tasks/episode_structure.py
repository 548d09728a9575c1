"""`read_episode`: the parts of an episode in any structure that people store episodes in."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from mtnet_tf.tasks.episode import Episode

_HALVES = ("support", "query")
_REQUIRED = ("support_x", "support_y", "query_x", "query_y")
_SETS = (*_REQUIRED, "support_weight", "query_weight")
_PARTS = {"x": "x", "y": "y", "sample_weight": "weight", "weight": "weight"}
_EXPECTED = (
    "`x` must be episodes: ((support_x, support_y), (query_x, query_y)), or a dict with the keys "
    "'support_x', 'support_y', 'query_x' and 'query_y'"
)


def read_episode(data: Any) -> Episode:
    """Finds the parts of an episode batch by their names, or by their position if they have none.

    Args:
        data: one of
            - `Episode`, a named tuple, a dataclass or a dict with the fields of `Episode`, in any
              order; or with "support" and "query", each as below;
            - a tuple or list ((support_x, support_y), (query_x, query_y)), in which each half may
              also be (x, y, sample_weight), or a dict with "x", "y" and "sample_weight";
            - a tuple or list (support_x, support_y, query_x, query_y).
            Inputs may be dicts, lists or tuples of tensors.

    Returns:
        `Episode` of the same tensors or arrays.

    Raises:
        ValueError: for any other structure, an unknown or missing key, or shapes that are not those
            of an episode batch.
    """
    episode = find_parts(data)
    check_shapes(episode)
    return episode


def find_parts(data: Any) -> Episode:
    """`read_episode` without a check of the shapes, for parts that are not arrays yet."""
    data = _without_padding(data)
    fields = _fields(data)
    if fields is not None:
        return _from_fields(fields)
    if isinstance(data, tuple | list) and len(data) == 2:
        halves = [_half(part, name) for part, name in zip(data, _HALVES, strict=True)]
        return Episode(**halves[0], **halves[1])
    if isinstance(data, tuple | list) and len(data) == 4:
        return Episode(*data)
    raise ValueError(f"{_EXPECTED}. Received: {_describe(data)}.")


def looks_like_episode(data: Any) -> bool:
    """Whether `data` has the names of an episode, or consists of two pairs or triples."""
    data = _without_padding(data)
    named = _fields(data)
    if named is not None:
        return set(named) == set(_HALVES) or set(named) >= set(_REQUIRED)
    is_pair = isinstance(data, tuple | list) and len(data) == 2
    return is_pair and all(isinstance(half, tuple | list) and len(half) in (2, 3) for half in data)


def _without_padding(data: Any) -> Any:
    """`data` without what Keras adds: (data,), (data, None) or (data, None, None)."""
    while type(data) in (tuple, list) and data and all(part is None for part in data[1:]):
        data = data[0]
    return data


def _fields(data: Any) -> dict[str, Any] | None:
    """The named parts of a dict, a named tuple or a dataclass; None if the parts have no names."""
    if isinstance(data, Mapping):
        return dict(data)
    if isinstance(data, tuple) and getattr(data, "_fields", None):
        return data._asdict()  # pyright: ignore[reportAttributeAccessIssue]
    if dataclasses.is_dataclass(data):
        return {field.name: getattr(data, field.name) for field in dataclasses.fields(data)}
    return None


def _from_fields(fields: Mapping[str, Any]) -> Episode:
    if set(fields) == set(_HALVES):
        return find_parts(tuple(fields[name] for name in _HALVES))
    unknown = [str(name) for name in fields if name not in Episode._fields]
    missing = [name for name in _REQUIRED if name not in fields]
    if unknown or missing:
        raise ValueError(
            f"{_EXPECTED}; 'classes', 'support_weight' and 'query_weight' are optional. Received: "
            f"the keys {sorted(map(str, fields))}; unknown: {unknown or 'none'}, missing: "
            f"{missing or 'none'}."
        )
    return Episode(**fields)


def _half(part: Any, name: str) -> dict[str, Any]:
    """The fields of `Episode` for the support or the query set."""
    named = _fields(part)
    if named is None and isinstance(part, tuple | list) and len(part) in (2, 3):
        named = dict(zip(("x", "y", "sample_weight"), part, strict=False))
    if named is None or not {"x", "y"} <= set(named) <= set(_PARTS):
        raise ValueError(
            f"{_EXPECTED}. The {name} set must be a pair (x, y), a triple (x, y, sample_weight), "
            f"or a dict with these keys. Received: {_describe(part)}."
        )
    return {f"{name}_{_PARTS[key]}": value for key, value in named.items()}


def check_shapes(episode: Episode) -> None:
    """Raises ValueError unless all parts are [B, n, ...], as far as their shapes are known."""
    for name in _HALVES:
        targets = getattr(episode, f"{name}_y")
        if len(tf.nest.flatten(targets)) != 1 or isinstance(targets, Mapping | list | tuple):
            raise ValueError(
                f"`{name}_y` must be one array [tasks, examples, ...]. Received: "
                f"{_describe(targets)}."
            )
    named = {name: getattr(episode, name) for name in Episode._fields if name in _SETS}
    shapes = {
        name: [_shape(leaf, name) for leaf in tf.nest.flatten(value)]
        for name, value in named.items()
        if value is not None
    }
    if any(len(shape) < 2 for found in shapes.values() for shape in found):
        raise ValueError(f"{_EXPECTED}, of arrays [tasks, examples, ...]. {_received(shapes)}")
    for half in _HALVES:
        if any(shape[2:] not in ((), (1,)) for shape in shapes.get(f"{half}_weight", [])):
            raise ValueError(
                f"`{half}_weight` must be [tasks, examples], one number for each example. "
                f"{_received(shapes)}"
            )
        sizes = [s[:2] for name, found in shapes.items() if name.startswith(half) for s in found]
        if not all(_agree(axis) for axis in zip(*sizes, strict=True)):
            raise ValueError(
                f"The inputs, targets and weights of the {half} set must have the same numbers of "
                f"tasks and examples. {_received(shapes)}"
            )
    if not _agree([shape[0] for found in shapes.values() for shape in found]):
        raise ValueError(
            f"Support and query sets must contain the same number of tasks. {_received(shapes)}"
        )


def _shape(array: Any, name: str) -> tuple[int | None, ...]:
    shape = tf.TensorShape(array.shape)
    if shape.rank is None:
        raise ValueError(
            f"`{name}` must have a known number of axes. Received: a tensor of unknown shape. Call "
            "`tensor.set_shape` where it is created, for example after `tf.py_function`."
        )
    return tuple(shape.as_list())


def _agree(sizes: Sequence[int | None]) -> bool:
    """Whether all known sizes are equal."""
    return len({size for size in sizes if size is not None}) <= 1


def _received(shapes: Mapping[str, list[tuple[int | None, ...]]]) -> str:
    parts = [f"{name} {', '.join(map(str, found))}" for name, found in shapes.items()]
    return f"Received the shapes: {'; '.join(parts)}."


def _describe(data: Any) -> str:
    """The structure of `data` in a few words."""
    if isinstance(data, Mapping):
        return f"a dict with the keys {sorted(map(str, data))}"
    if isinstance(data, tuple | list):
        parts = ", ".join(_describe(part) for part in data[:5])
        return (
            f"a {type(data).__name__} of {len(data)}: ({parts}{', ...' if len(data) > 5 else ''})"
        )
    shape = getattr(data, "shape", None)
    return type(data).__name__ if shape is None else f"an array of shape {list(shape)}"
