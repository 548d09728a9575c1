"""Methods by name: settings, contradictions, and the same run whichever way it is asked for."""

import pytest

from maml_baselines import METHODS, build_learner, resolve
from mtnet_tf import Sinusoids
from mtnet_tf.experiments import reports

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
def test_a_name_is_another_way_to_say_the_flags(name, flags):
    named = resolve({"method": name})
    assert named == resolve(flags)
    assert name in reports.run_name(named)


def test_every_method_has_a_run_folder_of_its_own():
    for source in ("sinusoid", "omniglot"):
        names = methods_for(source)
        folders = {reports.run_name(resolve({"method": n, "data_source": source})) for n in names}
        assert len(folders) == len(names)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "mymethod"}, "--method must be one of mtnet, .* Received: 'mymethod'"),
        (
            {"method": "tnet", "use_mask": True},
            "--method=tnet must go with --use_M=False, .* Received: --use_M=True",
        ),
        ({"method": "oracle", "data_source": "omniglot"}, "`baseline=oracle` requires"),
    ],
)
def test_contradictions_are_one_sentence(given, message):
    with pytest.raises(ValueError, match=message):
        resolve(given)


def test_what_the_user_gives_goes_before_the_recipe():
    assert resolve({"method": "maml", "step_size": 0.3}).step_size == 0.3


@pytest.mark.parametrize("name", methods_for("sinusoid"))
def test_every_method_that_regresses_takes_a_meta_step_on_sinusoids(name):
    settings = resolve({"method": name, **TINY})
    tasks = Sinusoids(5, 5, oracle=name == "oracle")
    learner = build_learner(settings, tasks)
    history = learner.fit(tasks, batch_size=2, steps_per_epoch=1, verbose=0).history
    assert history["loss"][0] > 0
