"""The hyperparameters of the paper's experiments, under the names of the authors' flags.

`bare` are the defaults of the authors' command line; a recipe is what their experiment scripts
set on top for one data source.
"""

BARE = {
    "datasource": "sinusoid",
    "num_classes": 5,
    "num_train_classes": -1,
    "baseline": None,
    "pretrain_iterations": 0,
    "metatrain_iterations": 15000,
    "meta_batch_size": 25,
    "meta_lr": 0.001,
    "update_batch_size": 5,
    "update_lr": 0.001,
    "num_updates": 1,
    "poly_order": 1,
    "use_T": False,
    "use_M": False,
    "share_M": False,
    "temp": 1.0,
    "logit_init": 0.0,
    "norm": "batch_norm",
    "dim_hidden": 40,
    "num_filters": 64,
    "conv": True,
    "max_pool": False,
    "stop_grad": False,
    "log": True,
    "logdir": None,
    "debug": False,
    "resume": True,
    "train": True,
    "test_iter": -1,
    "test_set": False,
    "train_update_batch_size": -1,
    "train_update_lr": -1.0,
}

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
      datasource: "sinusoid", "polynomial", "omniglot" or "miniimagenet".
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
    }
    if datasource not in recipes:
        raise ValueError(
            f"`datasource` must be one of {list(recipes)}. Received: datasource={datasource!r}."
        )
    return {**_ALL, **recipes[datasource]}


def resolve(given, use_recipe=True):
    """The value of every setting: what is given, else the recipe's, else the bare default.

    Args:
      given: dict of the settings that the user gave.
      use_recipe: False for the authors' bare defaults.

    Returns:
      Dict with a value for every name of `BARE`, and further given ones.
    """
    settings = {**BARE, **given}
    if not use_recipe:
        return settings
    return {**BARE, **recipe(settings["datasource"], settings["num_classes"]), **given}
