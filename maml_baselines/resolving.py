"""From the name of a method to its settings and its learner."""

from collections.abc import Mapping
from typing import Any

from maml_baselines.methods import METHODS, Method
from mtnet_tf import EpisodicLearner
from mtnet_tf.experiments import DEFAULTS, IMAGES, Settings, check_names
from mtnet_tf.experiments import build_learner as build_mtnet
from mtnet_tf.experiments import resolve as resolve_settings
from mtnet_tf.tasks import TaskDistribution


def resolve(given: Mapping[str, Any]) -> Settings:
    """The value of every setting: given, implied by the method, from its recipe, or the default.

    Example:
    >>> resolve({"method": "tnet", "data_source": "omniglot"}).use_transform
    True

    Args:
        given: values of some fields of `Settings`.

    Returns:
        The settings. `method` is None if other settings imply it, so that both ways to request a
        run give the same run.

    Raises:
        ValueError: for an unknown field or method, for settings that contradict the method, or for
            a value that is not allowed.
    """
    name = given.get("method")
    if name is None:
        return _check_ways(resolve_settings(given))
    method = find_method(name)
    check_names(given)
    Settings(**given)  # checks the values
    for setting, meant in method.settings.items():
        if given.get(setting, meant) != meant:
            raise ValueError(
                f"`method={name}` implies `{setting}={meant}`. "
                f"Received: {setting}={given[setting]}. Omit one of the two."
            )
    source = given.get("data_source", DEFAULTS["data_source"])
    if not fits(method, source) and source not in IMAGES:
        raise ValueError(
            f"`method={name}` classifies images. Received: data_source={source}. Add "
            "`data_source=omniglot`."
        )
    published = {}
    if given.get("recipe", "authors") == "authors":
        published = method.recipe(source, given.get("num_ways", DEFAULTS["num_ways"]))
    asked = {**given, "method": None if method.by_flags else name}
    return _check_ways(resolve_settings({**published, **method.settings, **asked}))


def _check_ways(settings: Settings) -> Settings:
    """The settings; ValueError if the method cannot train with this number of ways."""
    ways, method = settings.num_train_ways, settings.method
    if ways == 1:
        raise ValueError(
            "`num_train_ways` must be at least 2, or 0 for as many as in evaluation. "
            "Received: num_train_ways=1."
        )
    if ways not in (0, settings.num_ways) and not (method and METHODS[method].any_ways):
        raise ValueError(
            "`num_train_ways` requires a method whose network has no output per class (a metric "
            f"method). Received: num_train_ways={ways} with `method={method}`. Omit it."
        )
    return settings


def fits(method: Method, data_source: str) -> bool:
    """Whether a method can learn from a data source.

    Methods that compare embeddings require images. Joint training requires regression tasks: each
    classification task numbers its classes differently.
    """
    if data_source in IMAGES:
        return method.settings.get("baseline") is None
    return not method.any_ways


def find_method(name: str) -> Method:
    """The method with this name.

    Raises:
        ValueError: if there is none.
    """
    if name not in METHODS:
        raise ValueError(
            f"`method` must be one of {', '.join(METHODS)}. Received: method={name!r}."
        )
    return METHODS[name]


def build_learner(settings: Settings, tasks: TaskDistribution) -> EpisodicLearner:
    """Builds and compiles the learner of a method.

    Args:
        settings: see `resolve`.
        tasks: to train on.

    Raises:
        ValueError: for an unknown method.
    """
    if settings.method is None:
        return build_mtnet(settings, tasks)
    return find_method(settings.method).build(settings, tasks)
