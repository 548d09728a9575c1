"""The hyperparameters of the paper's experiments, under the names of the authors' flags.

A recipe is what the authors' experiment scripts set, for one data source, on top of the bare
defaults of their command line (`settings.AUTHORS`).
"""

# Unit masks, folders that last and a final look at held-out classes, whatever the data source.
_ALL = {"share_M": True, "logdir": "runs", "test_set": True}

_REGRESSION = {
    "metatrain_iterations": 60000,
    "meta_batch_size": 4,
    "update_batch_size": 10,
    "update_lr": 0.01,
    "norm": "None",
}

_OMNIGLOT = {"metatrain_iterations": 40000, "update_batch_size": 1}

_MINIIMAGENET = {
    "metatrain_iterations": 60000,
    "meta_batch_size": 4,
    "update_batch_size": 1,
    "update_lr": 0.01,
    "num_updates": 5,
    "num_filters": 32,
    "max_pool": True,
}

DATA_SOURCES = ("sinusoid", "polynomial", "omniglot", "miniimagenet", "folder")


def recipe(datasource, num_classes=5):
    """What the authors' scripts set for a data source.

    Args:
      datasource: one of `DATA_SOURCES`.
      num_classes: N, for Omniglot, whose 20-way runs differ.

    Returns:
      Dict from flag name to value.

    Raises:
      ValueError: for an unknown data source.
    """
    if datasource not in DATA_SOURCES:
        raise ValueError(
            f"`datasource` must be one of {', '.join(DATA_SOURCES)}. Received: {datasource!r}."
        )
    omniglot = {**_OMNIGLOT, "meta_batch_size": 32, "update_lr": 0.4}
    if num_classes > 5:
        omniglot = {**_OMNIGLOT, "meta_batch_size": 16, "update_lr": 0.1}
    pictures = {"omniglot": omniglot, "miniimagenet": _MINIIMAGENET}
    pictures["folder"] = _MINIIMAGENET  # the authors' choice for photographs
    return {**_ALL, **pictures.get(datasource, _REGRESSION)}
