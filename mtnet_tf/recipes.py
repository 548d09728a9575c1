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


def recipe(datasource, num_classes=5):
    """What the authors' scripts set for a data source.

    Args:
      datasource: "sinusoid", "polynomial", "omniglot", "miniimagenet" or "folder".
      num_classes: N, for Omniglot, whose 20-way runs differ.

    Returns:
      Dict from flag name to value.

    Raises:
      ValueError: for an unknown data source.
    """
    omniglot = {**_OMNIGLOT, "meta_batch_size": 32, "update_lr": 0.4}
    if num_classes > 5:
        omniglot = {**_OMNIGLOT, "meta_batch_size": 16, "update_lr": 0.1}
    recipes = {
        "sinusoid": _REGRESSION,
        "polynomial": _REGRESSION,
        "omniglot": omniglot,
        "miniimagenet": _MINIIMAGENET,
        "folder": _MINIIMAGENET,  # the authors' choice for photographs
    }
    if datasource not in recipes:
        raise ValueError(
            f"`datasource` must be one of {list(recipes)}. Received: datasource={datasource!r}."
        )
    return {**_ALL, **recipes[datasource]}
