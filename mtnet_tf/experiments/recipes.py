"""The hyperparameters of the paper's experiments.

A recipe contains the values that the authors' experiment scripts set for one data source, on top of
the bare defaults of their command line (`Settings`).
"""

from typing import Any

# For every data source: unit masks, permanent run folders, and an evaluation on the test split.
_ALL = {"unit_mask": True, "runs_dir": "runs", "use_test_split": True}

_REGRESSION = {
    "num_meta_iterations": 60000,
    "meta_batch_size": 4,
    "num_shots": 10,
    "step_size": 0.01,
    "norm": "None",
}

_OMNIGLOT = {"num_meta_iterations": 40000, "num_shots": 1}

_MINIIMAGENET = {
    "num_meta_iterations": 60000,
    "meta_batch_size": 4,
    "num_shots": 1,
    "step_size": 0.01,
    "num_inner_steps": 5,
    "num_filters": 32,
    "max_pooling": True,
}

IMAGES = ("omniglot", "miniimagenet", "folder")
DATA_SOURCES = ("sinusoid", "polynomial", *IMAGES)


def recipe(data_source: str, num_ways: int = 5) -> dict[str, Any]:
    """The values that the authors' scripts set for a data source.

    Args:
        data_source: one of `DATA_SOURCES`.
        num_ways: N; for Omniglot, values above 5 give the recipe of the 20-way runs.

    Returns:
        Dict from the field of `Settings` to its value.

    Raises:
        ValueError: for an unknown data source.
    """
    if data_source not in DATA_SOURCES:
        raise ValueError(
            f"`data_source` must be one of {', '.join(DATA_SOURCES)}. Received: "
            f"data_source={data_source!r}."
        )
    omniglot = {**_OMNIGLOT, "meta_batch_size": 32, "step_size": 0.4}
    if num_ways > 5:
        omniglot = {**_OMNIGLOT, "meta_batch_size": 16, "step_size": 0.1}
    images = {"omniglot": omniglot, "miniimagenet": _MINIIMAGENET}
    images["folder"] = _MINIIMAGENET  # the authors' choice for photographs
    return {**_ALL, **images.get(data_source, _REGRESSION)}
