import pytest

from maml_baselines.__main__ import make_parser


@pytest.mark.parametrize(
    ("given", "value"), [("--log", True), ("--nolog", False), ("--log=False", False), (None, None)]
)
def test_a_boolean_flag_is_written_as_for_the_main_program(given, value):
    arguments = ["table1", *([given] if given else [])]
    assert make_parser().parse_args(arguments).log is value
