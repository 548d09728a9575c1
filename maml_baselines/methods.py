"""The systems by name: what each one's settings are, and who builds its learner."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from maml_baselines import (
    maml_plus_plus,
    meta_curvature,
    meta_sgd,
    other_layers,
    recipes,
    reptile,
)
from mtnet_tf import experiment
from mtnet_tf import settings as mtnet_settings

_NO_CELLS = {"use_T": False, "use_M": False}


class Method(NamedTuple):
    """One system.

    Attributes:
      paper: who published it, and where in their paper it stands.
      settings: what the name stands for, settings that a user can't contradict.
      recipe: function from (data source, number of ways) to the published hyperparameters, a dict
        of settings that a user may change; those of the MT-net paper where it says nothing.
      build: function (settings, tasks) -> new compiled learner.
      by_flags: whether `settings` say all of it: `--method` is then another way to say them.
    """

    paper: str
    settings: Mapping
    recipe: Callable = lambda datasource, num_classes: {}
    build: Callable = experiment.build_learner
    by_flags: bool = False


def _by_flags(paper, **settings):
    return Method(paper, settings, by_flags=True)


METHODS = {
    "mtnet": _by_flags("Lee & Choi 2018, eq. 8 and 13", use_T=True, use_M=True, share_M=True),
    "mtnet-full": _by_flags("Lee & Choi 2018, table 1", use_T=True, use_M=True, share_M=False),
    "tnet": _by_flags("Lee & Choi 2018, eq. 4 and 5", use_T=True, use_M=False),
    "mnet": _by_flags("Lee & Choi 2018, table 1", use_T=False, use_M=True, share_M=True),
    "mnet-full": _by_flags("Lee & Choi 2018, table 1", use_T=False, use_M=True, share_M=False),
    "maml": _by_flags("Finn et al. 2017, algorithm 2", **_NO_CELLS, stop_grad=False),
    "fomaml": _by_flags("Finn et al. 2017, section 5.2", **_NO_CELLS, stop_grad=True),
    "oracle": _by_flags("Finn et al. 2017, section 5.1", **_NO_CELLS, baseline="oracle"),
    "pretrained": _by_flags("Finn et al. 2017, section 5.1", **_NO_CELLS, baseline="pretrained"),
    "metasgd": Method("Li et al. 2017, algorithm 1", _NO_CELLS, recipes.meta_sgd, meta_sgd.build),
    "anil": Method("Raghu et al. 2020, section 4", _NO_CELLS, build=other_layers.build_anil),
    "reptile": Method("Nichol et al. 2018, algorithm 2", _NO_CELLS, recipes.reptile, reptile.build),
    "metacurvature": Method(
        "Park & Oliva 2019, section 3.2", _NO_CELLS, recipes.meta_curvature, meta_curvature.build
    ),
    "maml++": Method(
        "Antoniou et al. 2019, section 4",
        _NO_CELLS,
        recipes.maml_plus_plus,
        maml_plus_plus.build,
    ),
    "warp": Method("Flennerhag et al. 2020, section 2", _NO_CELLS, build=other_layers.build_warp),
}


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
        return mtnet_settings.resolve(given)
    method = find_method(name)
    for setting, meant in method.settings.items():
        if given.get(setting, meant) != meant:
            raise ValueError(
                f"--method={name} must go with --{setting}={meant}, which it stands for. "
                f"Received: --{setting}={given[setting]}. Leave one of the two out."
            )
    published = {}
    if given.get("recipe", "authors") == "authors":
        source = given.get("datasource", mtnet_settings.DEFAULTS["datasource"])
        ways = given.get("num_classes", mtnet_settings.DEFAULTS["num_classes"])
        published = method.recipe(source, ways)
    asked = {**given, "method": None if method.by_flags else name}
    return mtnet_settings.resolve({**published, **method.settings, **asked})


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
