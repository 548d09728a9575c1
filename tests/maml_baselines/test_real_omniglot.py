"""Every method on the real Omniglot: one meta-step, an evaluation, a row of the table."""

import csv

import pytest

from data_prep import prepare_omniglot
from maml_baselines import METHODS
from maml_baselines.__main__ import main

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def omniglot(tmp_path_factory, omniglot_source):
    data = tmp_path_factory.mktemp("data")
    prepare_omniglot(data, [omniglot_source], progress=False)
    return data


def test_every_baseline_makes_a_row_on_the_real_omniglot(omniglot, tmp_path):
    names = ["mtnet", *(name for name, method in METHODS.items() if not method.by_flags)]
    flags = ["--datasource=omniglot", "--metatrain_iterations=1", "--num_test_episodes=20"]
    flags += ["--num_test_updates=1", "--num_filters=4", "--num_updates=2", "--debug=True"]
    flags += ["--meta_batch_size=2", "--validate_every=1", "--log=False"]
    flags.append(f"--methods={','.join(names)}")
    assert main(["table3", *flags, f"--data_dir={omniglot}", f"--logdir={tmp_path}"]) == 0
    (table,) = tmp_path.glob("table3_omniglot_5way_1shot_*.csv")
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == names
    for row in rows:
        assert 0 <= float(row["measured"].split(" ± ")[0]) <= 100, row
        assert row["minus MT-net"] or row["method"] == "mtnet"
    without_steps = {row["method"] for row in rows if not row["steps"]}
    assert without_steps == {
        "map-ssvm",
        "map-dlm",
        "matching",
        "matching-fce",
        "prototypical",
        "nearest",
    }
