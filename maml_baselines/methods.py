"""The methods by name: their papers, their settings, and the function that builds the learner."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from maml_baselines import gradient, published_recipes
from maml_baselines.metric import builders
from mtnet_tf import EpisodicLearner
from mtnet_tf.experiments import Settings, build_learner
from mtnet_tf.tasks import TaskDistribution

_PLAIN_LAYERS = {"use_transform": False, "use_mask": False}
_MAML = {**_PLAIN_LAYERS, "baseline": None}
# Methods with their own meta-loss are not trained jointly first, because joint training
# minimises a different loss.
_OWN = {**_MAML, "num_pretrain_iterations": 0}
_FIRST_ORDER = {**_OWN, "first_order": True}


@dataclasses.dataclass(frozen=True)
class Method:
    """A method of few-shot learning.

    Attributes:
        paper: authors, year, and the place in their paper.
        settings: values of the fields of `Settings` that the name implies. Users cannot change
            them.
        recipe: function (data source, number of ways) -> published hyperparameters, values of
            fields of `Settings`. Users can change them. The MT-net paper's recipe gives the rest.
        build: function (settings, tasks) -> new compiled learner.
        any_ways: whether it can train with another number of ways than in evaluation, because the
            network has no output per class of a task. Such methods require images.
        by_flags: whether `settings` describe the method completely. `method` is then only another
            way to write them.
    """

    paper: str
    settings: Mapping[str, Any]
    recipe: Callable[[str, int], dict[str, Any]] = published_recipes.unpublished
    build: Callable[[Settings, TaskDistribution], EpisodicLearner] = build_learner
    any_ways: bool = False
    by_flags: bool = False


def _by_flags(paper: str, **settings: bool | str | None) -> Method:
    return Method(paper, settings, by_flags=True)


METHODS: dict[str, Method] = {
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
    "oracle": _by_flags("Finn et al. 2017, section 5.1", **_PLAIN_LAYERS, baseline="oracle"),
    "pretrained": _by_flags(
        "Finn et al. 2017, section 5.1", **_PLAIN_LAYERS, baseline="pretrained"
    ),
    "metasgd": Method(
        "Li et al. 2017, algorithm 1", _OWN, published_recipes.meta_sgd, gradient.meta_sgd.build
    ),
    "lstm": Method(
        "Ravi & Larochelle 2017, section 3",
        _FIRST_ORDER,
        published_recipes.meta_lstm,
        gradient.meta_lstm.build,
    ),
    "llama": Method("Grant et al. 2018, subroutine 4", _OWN, build=gradient.llama.build),
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
    "anil": Method("Raghu et al. 2020, section 4", _OWN, build=gradient.other_cells.build_anil),
    "reptile": Method(
        "Nichol et al. 2018, algorithm 2",
        _FIRST_ORDER,
        published_recipes.reptile,
        gradient.reptile.build,
    ),
    "metacurvature": Method(
        "Park & Oliva 2019, section 3.2",
        _OWN,
        published_recipes.meta_curvature,
        gradient.meta_curvature.build,
    ),
    "maml++": Method(
        "Antoniou et al. 2019, section 4",
        _OWN,
        published_recipes.maml_plus_plus,
        gradient.maml_plus_plus.build,
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
    "warp": Method(
        "Flennerhag et al. 2020, section 2", _OWN, build=gradient.other_cells.build_warp
    ),
}
