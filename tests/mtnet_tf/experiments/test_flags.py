"""The table of flags: help texts, and messages in the names of the command line."""

import dataclasses
import json
from pathlib import Path

import pytest

from mtnet_tf.experiments.flags import ACTIONS, FLAGS, as_flags, help_of, read_settings, resolve
from mtnet_tf.experiments.run_folder import Run
from mtnet_tf.experiments.settings import Settings


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("meta_lr", "learning rate of the meta-step (beta) (default: 0.001)"),
        (
            "metatrain_iterations",
            "number of meta-iterations (default: 60000 for sinusoid, polynomial, miniimagenet, "
            "folder; 40000 for omniglot)",
        ),
        ("query", "with --predict: an image or a folder of images"),
    ],
)
def test_help_contains_the_default_of_each_data_source(name, text):
    assert help_of(name) == text


def test_every_field_of_the_settings_has_one_flag():
    fields = [flag.field for flag in FLAGS.values()]
    assert sorted(fields) == sorted(field.name for field in dataclasses.fields(Settings))
    assert not FLAGS.keys() & ACTIONS.keys()
    # Otherwise a name in config.json could mean two things.
    assert all(FLAGS[name].field == name for name in FLAGS.keys() & set(fields))


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
        ("`support` must be a folder. Received: x.", "--support must be a folder. Received: x."),
        (
            "Set `invert=True`. Received: invert='auto'",
            "Set --invert=True. Received: --invert='auto'",
        ),
        ("Choose another `data_dir`.", "Choose another --data_dir."),
        ("`method=tnet` implies `use_mask=False`.", "--method=tnet implies --use_M=False."),
        ("`unknown` stays. Received: unknown=1", "`unknown` stays. Received: unknown=1"),
        ("a file a/seed=1/b stays", "a file a/seed=1/b stays"),
    ],
)
def test_fields_in_a_message_become_flags(message, expected):
    assert as_flags(message) == expected


def test_a_program_may_have_further_flags():
    message = "`methods` must name a method. Received: methods=x, seed=1."
    expected = "--methods must name a method. Received: --methods=x, --seed=1."
    assert as_flags(message, ["methods"]) == expected
    assert as_flags(message).startswith("`methods` must")


def test_a_program_may_lack_flags():
    message = "Name `run_dir` or `runs_dir`. Received: run_dir=x, seed=1."
    expected = "Name `run_dir` or --logdir. Received: run_dir=x, --seed=1."
    assert as_flags(message, without=["run"]) == expected


def test_settings_are_read_under_the_names_of_flags_and_of_fields():
    settings = resolve({"data_source": "omniglot", "num_ways": 3, "step_size": 0.2})
    old = {name: getattr(settings, flag.field) for name, flag in FLAGS.items()}
    assert read_settings(settings.as_dict()) == settings
    assert read_settings(old) == settings
    assert read_settings({**old, "dropped_by_a_later_version": 1}) == settings


OLD_CONFIG = """{
  "settings": {
    "datasource": "omniglot", "num_classes": 20, "pretrain_iterations": 0, "meta_lr": 0.001,
    "metatrain_iterations": 40000, "meta_batch_size": 16, "update_batch_size": 1, "update_lr": 0.1,
    "num_updates": 1, "use_T": true, "use_M": true, "share_M": true, "temp": 1.0, "logit_init": 0.0,
    "norm": "batch_norm", "conv": true, "stop_grad": false, "logdir": "runs", "debug": false,
    "test_iter": -1, "validate_every": 0, "num_test_updates": 10, "tf32": true, "run": null
  },
  "command": "main.py --datasource=omniglot --num_classes=20 --use_T --use_M",
  "versions": {"mtnet_tf": "0.1.0"}
}"""


def test_a_run_folder_of_version_0_1_0_is_read(tmp_path):
    (tmp_path / "config.json").write_text(OLD_CONFIG)
    assert Run(tmp_path).settings() == Settings(
        data_source="omniglot", num_ways=20, num_meta_iterations=40000, meta_batch_size=16,
        num_shots=1, step_size=0.1, use_transform=True, use_mask=True, unit_mask=True,
        runs_dir="runs", allow_tf32=True,
    )  # fmt: skip


OLD_RUNS = sorted((Path(__file__).resolve().parents[3] / "experiments").glob("*/*/*.json"))


@pytest.mark.parametrize("path", OLD_RUNS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_stored_runs_and_evaluations_are_read(path):
    written = json.loads(path.read_text())["settings"]
    settings = read_settings(written)
    for name, value in written.items():
        if name in FLAGS:
            assert getattr(settings, FLAGS[name].field) == value, name
