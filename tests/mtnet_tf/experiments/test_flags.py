"""The table of flags: help texts, and messages in the names of the command line."""

import dataclasses
import json
from pathlib import Path

import pytest

from mtnet_tf.experiments.flags import ACTIONS, FLAGS, as_flags, help_of, read_settings
from mtnet_tf.experiments.settings import Settings, resolve


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("meta_lr", "learning rate of the meta-step (beta) (default: 0.001)"),
        (
            "metatrain_iterations",
            "meta-iterations (default: 60000 for sinusoid, polynomial, miniimagenet, folder; 40000 "
            "for omniglot)",
        ),
        ("query", "image, or folder of images, to predict"),
    ],
)
def test_help_contains_the_default_of_each_data_source(name, text):
    assert help_of(name) == text


def test_every_field_of_the_settings_has_one_flag():
    fields = [flag.field for flag in FLAGS.values()]
    assert sorted(fields) == sorted(field.name for field in dataclasses.fields(Settings))
    assert not FLAGS.keys() & ACTIONS.keys()


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "`step_size` must be positive. Received: step_size=-0.1.",
            "--update_lr must be positive. Received: --update_lr=-0.1.",
        ),
        (
            "Train again from the start with `resume=False`, or name `run_dir`.",
            "Train again from the start with --resume=False, or name --run.",
        ),
        ("`seed` and `num_ways`", "--seed and --num_classes"),
        ("`unknown` stays. Received: unknown=1", "`unknown` stays. Received: unknown=1"),
        ("a file a/seed=1/b stays", "a file a/seed=1/b stays"),
    ],
)
def test_fields_in_a_message_become_flags(message, expected):
    assert as_flags(message) == expected


def test_settings_are_read_under_the_names_of_flags_and_of_fields():
    settings = resolve({"data_source": "omniglot", "num_ways": 3, "step_size": 0.2})
    old = {name: getattr(settings, flag.field) for name, flag in FLAGS.items()}
    assert read_settings(settings.as_dict()) == settings
    assert read_settings(old) == settings
    assert read_settings({**old, "dropped_by_a_later_version": 1}) == settings


OLD_RUNS = sorted((Path(__file__).resolve().parents[3] / "experiments").rglob("config.json"))


@pytest.mark.parametrize("path", OLD_RUNS, ids=lambda path: path.parent.name)
def test_runs_of_version_0_1_0_are_read(path):
    written = json.loads(path.read_text())["settings"]
    settings = read_settings(written)
    for name, value in written.items():
        if name in FLAGS:
            assert getattr(settings, FLAGS[name].field) == value, name
