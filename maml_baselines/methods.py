"""The systems by name: what each one's settings are, and who builds its learner."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from maml_baselines import published_recipes
from maml_baselines.gradient import (
    llama,
    maml_plus_plus,
    meta_curvature,
    meta_lstm,
    meta_sgd,
    other_cells,
    reptile,
)
from maml_baselines.metric import builders
from mtnet_tf.experiments import build_learner

_NO_CELLS = {"use_transform": False, "use_mask": False}
_MAML = {**_NO_CELLS, "baseline": None}
# A system of its own is not trained jointly before, as its objective is another one.
_OWN = {**_MAML, "num_pretrain_iterations": 0}
_FIRST_ORDER = {**_OWN, "first_order": True}


class Method(NamedTuple):
    """One system.

    Attributes:
      paper: who published it, and where in their paper it stands.
      settings: what the name stands for, settings that a user can't contradict.
      recipe: function from (data source, number of ways) to the published hyperparameters, a dict
        of settings that a user may change; those of the MT-net paper where it says nothing.
      build: function (settings, tasks) -> new compiled learner.
      any_ways: whether it trains on tasks of any number of ways, having no output for each class
        of a task; on pictures only.
      by_flags: whether `settings` say all of it: `--method` is then another way to say them.
    """

    paper: str
    settings: Mapping
    recipe: Callable = lambda data_source, num_ways: {}
    build: Callable = build_learner
    any_ways: bool = False
    by_flags: bool = False


def _by_flags(paper, **settings):
    return Method(paper, settings, by_flags=True)


METHODS = {
    "mtnet": _by_flags(
        "Lee & Choi 2018, eq. 8 and 13", use_transform=True, use_mask=True, unit_mask=True
    ),
    "mtnet-full": _by_flags(
        "Lee & Choi 2018, table 1", use_transform=True, use_mask=True, unit_mask=False
    ),
    "tnet": _by_flags("Lee & Choi 2018, eq. 4 and 5", use_transform=True, use_mask=False),
    "mnet": _by_flags(
        "Lee & Choi 2018, table 1", use_transform=False, use_mask=True, unit_mask=True
    ),
    "mnet-full": _by_flags(
        "Lee & Choi 2018, table 1", use_transform=False, use_mask=True, unit_mask=False
    ),
    "maml": _by_flags("Finn et al. 2017, algorithm 2", **_MAML, first_order=False),
    "fomaml": _by_flags("Finn et al. 2017, section 5.2", **_MAML, first_order=True),
    "oracle": _by_flags("Finn et al. 2017, section 5.1", **_NO_CELLS, baseline="oracle"),
    "pretrained": _by_flags("Finn et al. 2017, section 5.1", **_NO_CELLS, baseline="pretrained"),
    "metasgd": Method(
        "Li et al. 2017, algorithm 1", _OWN, published_recipes.meta_sgd, meta_sgd.build
    ),
    "lstm": Method(
        "Ravi & Larochelle 2017, section 3",
        _FIRST_ORDER,
        published_recipes.meta_lstm,
        meta_lstm.build,
    ),
    "llama": Method("Grant et al. 2018, subroutine 4", _OWN, build=llama.build),
    "map-ssvm": Method(
        "Triantafillou et al. 2017, section 4.1",
        _OWN,
        published_recipes.map_ssvm,
        builders.build_map_ssvm,
        any_ways=True,
    ),
    "map-dlm": Method(
        "Triantafillou et al. 2017, section 4.2",
        _OWN,
        published_recipes.map_ssvm,
        builders.build_map_dlm,
        any_ways=True,
    ),
    "anil": Method("Raghu et al. 2020, section 4", _OWN, build=other_cells.build_anil),
    "reptile": Method(
        "Nichol et al. 2018, algorithm 2", _FIRST_ORDER, published_recipes.reptile, reptile.build
    ),
    "metacurvature": Method(
        "Park & Oliva 2019, section 3.2",
        _OWN,
        published_recipes.meta_curvature,
        meta_curvature.build,
    ),
    "maml++": Method(
        "Antoniou et al. 2019, section 4",
        _OWN,
        published_recipes.maml_plus_plus,
        maml_plus_plus.build,
    ),
    "matching": Method(
        "Vinyals et al. 2016, section 2.1",
        _OWN,
        published_recipes.matching,
        builders.build_matching,
        any_ways=True,
    ),
    "matching-fce": Method(
        "Vinyals et al. 2016, section 2.1.2",
        _OWN,
        published_recipes.matching,
        builders.build_matching_with_context,
        any_ways=True,
    ),
    "prototypical": Method(
        "Snell et al. 2017, algorithm 1",
        _OWN,
        published_recipes.prototypical,
        builders.build_prototypical,
        any_ways=True,
    ),
    "finetune": Method(
        "Ravi & Larochelle 2017, section 5.1",
        _OWN,
        published_recipes.fine_tune,
        builders.build_fine_tune,
        any_ways=True,
    ),
    "nearest": Method(
        "Ravi & Larochelle 2017, section 5.1",
        _OWN,
        published_recipes.supervised,
        builders.build_nearest,
        any_ways=True,
    ),
    "warp": Method("Flennerhag et al. 2020, section 2", _OWN, build=other_cells.build_warp),
}
