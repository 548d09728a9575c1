"""Several replicas of a `tf.distribute` strategy compute what one device does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "support" / "replica_cases.py"
ROOT = PROGRAM.parents[2]
# Up to the order of summation. Adam magnifies rounding where a gradient is nearly zero, such as
# that of a bias before normalisation.
ROUNDING, ROUNDING_OF_ADAM = 1e-14, 1e-9


def run(*cases):
    """The findings of cases, from a process with four logical devices."""
    done = subprocess.run(
        [sys.executable, PROGRAM, *cases], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_replicas_compute_what_one_device_does():
    found = run("four", "unsuitable")
    assert found["four"]["4"] < ROUNDING
    messages = found["unsuitable"]
    assert "`model` must be created in the `strategy.scope()`" in messages["model outside"]
    assert "`optimizer` must not accumulate gradients" in messages["accumulation"]
    assert "must be MirroredStrategy" in messages["strategy"]
    assert "Received: CentralStorageStrategy." in messages["strategy"]


@pytest.mark.long
def test_float32_programs_of_xla_agree_to_rounding():
    assert max(run("float32_with_xla")["float32_with_xla"].values()) < 1e-6


@pytest.mark.slow
def test_options_of_meta_steps_do_not_depend_on_replicas():
    found = run(
        *("one_and_two", "fewer_tasks_than_replicas", "loop_of_steps", "chunks_of_tasks"),
        *("first_order_with_redrawn_masks", "arrays_whose_last_batch_is_smaller"),
        *("evaluation", "adaptation"),
    )
    assert all(max(values.values()) < ROUNDING for values in found.values()), found


@pytest.mark.slow
def test_images_and_other_methods_do_not_depend_on_replicas():
    found = run(
        "images_on_another_device", "images_read_ahead", "metric_method", "learned_update_rule"
    )
    for name, values in found.items():
        assert values.pop("state") < ROUNDING_OF_ADAM, name
        assert max(values.values()) < ROUNDING, name


@pytest.mark.slow
def test_a_learner_continues_with_another_number_of_devices():
    found = run("saved_and_continued_with_other_devices")["saved_and_continued_with_other_devices"]
    assert found.keys() == {"2 to 0", "0 to 2"}
    assert max(found.values()) < ROUNDING
