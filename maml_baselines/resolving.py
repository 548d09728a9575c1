"""From the name of a method to settings and a learner."""

from maml_baselines.methods import METHODS
from mtnet_tf.experiments import build as experiment
from mtnet_tf.experiments import settings as mtnet_settings


def resolve(given):
    """The value of every setting, `method` understood; see `mtnet_tf.settings.resolve`.

    Args:
      given: dict of the settings that the user gave.

    Returns:
      Dict with a value for every setting. `method` is None where other settings say it all, so
      that a run is the same whichever way it was asked for.

    Raises:
      ValueError: for an unknown method, one that other settings contradict, or a value that makes
        no sense.
    """
    name = given.get("method")
    if name is None:
        return _check_ways(mtnet_settings.resolve(given))
    method = find_method(name)
    mtnet_settings.check({**mtnet_settings.DEFAULTS, **given})
    for setting, meant in method.settings.items():
        if given.get(setting, meant) != meant:
            raise ValueError(
                f"--method={name} must go with --{setting}={meant}, which it stands for. "
                f"Received: --{setting}={given[setting]}. Leave one of the two out."
            )
    source = given.get("datasource", mtnet_settings.DEFAULTS["datasource"])
    if not fits(method, source) and source not in mtnet_settings.IMAGES:
        raise ValueError(
            f"--method={name} classifies pictures. Received: --datasource={source}. Add "
            "--datasource=omniglot."
        )
    published = {}
    if given.get("recipe", "authors") == "authors":
        ways = given.get("num_classes", mtnet_settings.DEFAULTS["num_classes"])
        published = method.recipe(source, ways)
    asked = {**given, "method": None if method.by_flags else name}
    return _check_ways(mtnet_settings.resolve({**published, **method.settings, **asked}))


def _check_ways(settings):
    """The settings; ValueError for ways in training that the method can't learn from."""
    ways, method = settings["num_train_ways"], settings["method"]
    if ways == 1:
        raise ValueError(
            "--num_train_ways must be at least 2, or 0 for as many as in evaluation: one class "
            "is no choice. Received: 1."
        )
    if ways not in (0, settings["num_classes"]) and not (method and METHODS[method].any_ways):
        raise ValueError(
            "--num_train_ways is for methods without an output for each class of a task. "
            f"Received: {ways} with --method={method}. Leave it out."
        )
    return settings


def fits(method, datasource):
    """Whether a method makes sense on a data source.

    Joint training does not on pictures, whose labels are numbered anew in each task.
    """
    if datasource in mtnet_settings.IMAGES:
        return method.settings.get("baseline") is None
    return not method.any_ways


def find_method(name):
    """The method of this name.

    Raises:
      ValueError: if there is none.
    """
    if name not in METHODS:
        raise ValueError(f"--method must be one of {', '.join(METHODS)}. Received: {name!r}.")
    return METHODS[name]


def build_learner(settings, tasks):
    """A new learner, compiled.

    Args:
      settings: dict, see `resolve`.
      tasks: `TaskDistribution` to train on.

    Returns:
      `EpisodicLearner`.
    """
    build = experiment.build_learner
    if settings["method"]:
        build = find_method(settings["method"]).build
    return build(settings, tasks)
