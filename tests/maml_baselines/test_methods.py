"""Methods by name: their settings, contradictions, and one run for both ways to ask for it."""

import re

import numpy as np
import pytest

from maml_baselines import METHODS, build_learner, resolve
from mtnet_tf import Sinusoids
from mtnet_tf.experiments import reports
from mtnet_tf.experiments import resolve as resolve_settings

TINY = {"hidden_units": 4, "num_inner_steps": 1, "run_eagerly": True}


def methods_for(source):
    if source != "sinusoid":
        return [name for name in METHODS if name != "oracle"]
    return [name for name, method in METHODS.items() if not method.any_ways]


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("mtnet", {"use_transform": True, "use_mask": True}),
        ("mtnet-full", {"use_transform": True, "use_mask": True, "unit_mask": False}),
        ("tnet", {"use_transform": True}),
        ("mnet", {"use_mask": True}),
        ("mnet-full", {"use_mask": True, "unit_mask": False}),
        ("maml", {}),
        ("fomaml", {"first_order": True}),
        ("oracle", {"baseline": "oracle"}),
        ("pretrained", {"baseline": "pretrained"}),
    ],
)
def test_a_name_gives_the_same_run_as_the_settings(name, flags):
    named = resolve({"method": name})
    assert named == resolve(flags)
    assert re.search(f"_{name}(-maml)?_", reports.run_name(named))


def test_methods_have_different_run_folders():
    for source in ("sinusoid", "omniglot"):
        names = methods_for(source)
        folders = {reports.run_name(resolve({"method": n, "data_source": source})) for n in names}
        assert len(folders) == len(names)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "mymethod"}, "`method` must be one of mtnet, .* Received: method='mymethod'"),
        (
            {"method": "tnet", "use_mask": True},
            "`method=tnet` implies `use_mask=False`. Received: use_mask=True",
        ),
        ({"method": "oracle", "data_source": "omniglot"}, "`baseline=oracle` requires"),
    ],
)
def test_contradictions_are_errors(given, message):
    with pytest.raises(ValueError, match=message):
        resolve(given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"datasource": "omniglot", "update_lr": 0.1},
            "Every name must be a field of `Settings`: `data_source` instead of `datasource`, "
            "`step_size` instead of `update_lr`. Received: datasource='omniglot', update_lr=0.1.",
        ),
        (
            {"method": "metasgd", "num_way": 5},
            "Every name must be a field of `Settings`: `num_ways` instead of `num_way`. "
            "Received: num_way=5.",
        ),
        ({"xyz": 1}, "Every name must be a field of `Settings`. Received: xyz=1."),
    ],
)
@pytest.mark.parametrize("function", [resolve, resolve_settings])
def test_a_name_that_is_not_a_field_is_rejected(function, given, message):
    with pytest.raises(ValueError) as caught:
        function(given)
    assert str(caught.value) == message


def test_given_values_replace_the_recipe():
    assert resolve({"method": "maml"}).step_size == 0.01
    assert resolve({"method": "maml", "step_size": 0.3}).step_size == 0.3


@pytest.mark.parametrize("name", methods_for("sinusoid"))
def test_every_method_that_regresses_takes_a_meta_step_on_sinusoids(name):
    settings = resolve({"method": name, **TINY})
    tasks = Sinusoids(5, 5, oracle=name == "oracle")
    learner = build_learner(settings, tasks)
    before = [variable.numpy() for variable in learner.meta_parameters]
    history = learner.fit(tasks, batch_size=2, steps_per_epoch=1, verbose=0).history
    assert history["loss"][0] > 0
    after = learner.meta_parameters
    assert any(np.any(a != b.numpy()) for a, b in zip(before, after, strict=True))
