"""Compares this package with reference numbers of the authors' TF1 code.

Each file is compared twice, in float64 and in float32. A row of the table gives the largest
relative error of each kind of number; the error of one array is
max|ours - reference| / max|reference|. The reference is the float64 value in both cases.

Some numbers are compared at one precision only:

- Float64 only: arrays whose float32 value in the authors' code is not within 1e-4 of float64, and,
  with max pooling, gradients and everything after the first inner step. A file that contains
  nothing else is reported as "float64 only".
- Float32 only: the second Adam step, because the authors' Adam stores its constants in float32. It
  may differ by 1e-2, because an activation close to zero may be on the other side of its ReLU.
- Neither: Adam steps of float32 gradients that consist of rounding noise (below 1e-6 of the
  largest gradient), because Adam turns the sign of this noise into a full step.
"""

import argparse
import dataclasses
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from .golden import compute
from .reference_file import TOLERANCE, ReferenceFile, relative_error, tolerance_of

REFERENCE = Path(__file__).parent / "reference"

# Kind of number -> how the names of its arrays begin.
GROUPS = {
    "losses": ("losses", "total_loss"),
    "accuracies": ("accurac", "total_acc"),
    "outputs": ("output",),
    "fast": ("fast",),
    "grad": ("grad",),
    "adam1": ("adam1",),
    "adam2": ("adam2",),
}


def default_files() -> list[Path]:
    """The full set in $MTNET_SHARED/golden if there is one, else the set in the repository."""
    shared = os.environ.get("MTNET_SHARED")
    full = sorted((Path(shared) / "golden").glob("*.npz")) if shared else []
    return full or sorted(REFERENCE.glob("*.npz"))


def compare(path: str | Path, dtype: str, jit: bool = False) -> dict[str, tuple[float, str]]:
    """Largest relative error of each kind of number.

    Args:
        path: reference file, with a MANIFEST.json in its folder.
        dtype: "float64" or "float32", the precision of our computation.
        jit: whether to compile with XLA, as training does; otherwise runs eagerly.

    Returns:
        Dict from kind of number to (error, name of the array). It is empty for float32 if the
        file decides nothing in float32.

    Raises:
        ValueError: if the file contains no float64 reference, or an unknown array.
    """
    reference = ReferenceFile.read(path)
    _check_names(reference, [n for n in reference.names() if _group(n) is None])
    judged = reference.judged(dtype)
    if not judged:
        if dtype == "float64":
            raise ValueError(f"{path} must contain float64 values (arrays named f64/...).")
        return {}
    results = _compute(reference, dtype, jit)
    worst: dict[str, tuple[float, str]] = {}
    _check_names(reference, [n for n in judged if n not in results])
    for name in judged:
        ours, expected = _comparable(reference, name, results[name], dtype)
        group = _group(name)
        worst[group] = max(worst.get(group, (-1.0, "")), (relative_error(ours, expected), name))
    return worst


def _check_names(reference: ReferenceFile, unknown: list[str]) -> None:
    """Raises a ValueError if the file contains unknown arrays."""
    if unknown:
        raise ValueError(
            f"{reference.path} contains an array that this script does not know: f64/{unknown[0]}."
        )


def _group(name: str) -> str | None:
    return next((g for g, begins in GROUPS.items() if name.startswith(begins)), None)


def _compute(reference: ReferenceFile, dtype: str, jit: bool) -> dict[str, np.ndarray]:
    """Our numbers, with Keras' default dtype restored afterwards."""
    # TensorFlow would otherwise round float32 products to ten bits on NVIDIA GPUs.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    floatx = keras.config.floatx()
    # The optimizer stores its learning rate in Keras' default dtype.
    keras.config.set_floatx(dtype)
    try:
        return compute(reference, dtype, jit)
    finally:
        keras.config.set_floatx(floatx)


def _comparable(
    reference: ReferenceFile, name: str, ours: np.ndarray, dtype: str
) -> tuple[np.ndarray, np.ndarray]:
    """Our array and the reference, without the elements that are rounding noise."""
    arrays = reference.arrays
    expected = np.asarray(arrays[f"f64/{name}"], np.float64)
    ours = np.asarray(ours, np.float64).reshape(expected.shape)
    if _group(name) == "accuracies":  # the reference stored these fractions in float32 once
        return np.round(ours, 6), np.round(expected, 6)
    if name == "grad_norm":  # the relative error of each norm, however small
        alive = np.array([key not in reference.dead for key in arrays["param_order"]])
        return ours[alive] / expected[alive], np.ones(alive.sum())
    gradient = f"f64/grad/{name.split('/', 1)[-1]}"
    if dtype == "float32" and name.startswith("adam") and gradient in arrays:
        size = np.abs(arrays[gradient])
        return np.where(size > 1e-6 * size.max(), ours, expected), expected
    return ours, expected


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """One row of the table.

    Attributes:
        path: the file.
        dtype: the precision of our computation.
        worst: what `compare` returns; empty if nothing was compared.
        problem: why the file does not agree, None if it does.
    """

    path: Path
    dtype: str
    worst: dict[str, tuple[float, str]]
    problem: str | None = None

    def row(self) -> str:
        """The row: file, precision, and the largest error of each kind of number."""
        title = f"{self.path.stem:36}{self.dtype:8}"
        if self.worst:
            return title + _cells({group: error for group, (error, _) in self.worst.items()})
        return f"{title} {'cannot be compared' if self.problem else 'float64 only'}"


def _outcome(path: Path, dtype: str, jit: bool) -> Outcome:
    try:
        worst = compare(path, dtype, jit)
    except (ValueError, OSError, KeyError) as error:
        return Outcome(path=path, dtype=dtype, worst={}, problem=f"cannot be compared: {error}")
    bad = [f"{name} {e:.1e}" for e, name in worst.values() if e > tolerance_of(name, dtype)]
    problem = f"above tolerance: {', '.join(bad)}" if bad else None
    return Outcome(path=path, dtype=dtype, worst=worst, problem=problem)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table.

    Args:
        arguments: those of the command line, None for `sys.argv`.

    Returns:
        Exit status: 0 if all files agree, 1 otherwise.
    """
    options = _parser().parse_args(arguments)
    # Every file is a different network, so TensorFlow's warning about retracing is expected.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    _write(f"{'file':36}{'dtype':8}" + "".join(f"{group:>11}" for group in GROUPS))
    outcomes = []
    for path in dict.fromkeys(options.files or default_files()):
        for dtype in TOLERANCE:
            outcomes.append(_outcome(path, dtype, options.jit))
            _write(outcomes[-1].row())
    for dtype in TOLERANCE:
        _write(f"{'largest error':36}{dtype:8}" + _cells(_largest(outcomes, dtype)))
    failed = [o for o in outcomes if o.problem]
    for outcome in failed:
        _write(f"FAILED {outcome.path.stem} {outcome.dtype} {outcome.problem}")
    _write(_conclusion(outcomes))
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fidelity",
        description="Compares losses, outputs, adapted weights, meta-gradients and Adam steps of "
        "this package with numbers computed by the authors' TF1 code. The exit status is 0 if "
        "every relative error is at most 1e-8 in float64 and 1e-4 in float32 (1e-2 after a second "
        "Adam step), otherwise 1.",
    )
    parser.add_argument(
        "files", metavar="FILE.npz", type=Path, nargs="*",
        help="reference files, each with a MANIFEST.json in its folder; default: the full set in "
        "$MTNET_SHARED/golden if there is one, else the set in tests/fidelity/reference",
    )  # fmt: skip
    parser.add_argument(
        "--jit", action="store_true",
        help="compile with XLA, as training does (slower, since each file is a new program)",
    )  # fmt: skip
    return parser


def _cells(errors: dict[str, float]) -> str:
    return "".join(f"{errors[g]:11.1e}" if g in errors else f"{'-':>11}" for g in GROUPS)


def _largest(outcomes: list[Outcome], dtype: str) -> dict[str, float]:
    """The largest error of each kind of number over all files."""
    errors: dict[str, float] = {}
    for outcome in (o for o in outcomes if o.dtype == dtype):
        for group, (error, _) in outcome.worst.items():
            errors[group] = max(errors.get(group, 0.0), error)
    return errors


def _conclusion(outcomes: list[Outcome]) -> str:
    """The closing line: how many files agree."""
    num_files = len({o.path for o in outcomes})
    num_failed = len({o.path for o in outcomes if o.problem})
    num_float64_only = sum(not o.worst and not o.problem for o in outcomes)
    count = f"{num_files - num_failed} of {num_files}" if num_failed else str(num_files)
    noun = "file agrees" if num_files == 1 else "files agree"
    bounds = [
        f"{np.format_float_scientific(tolerance, trim='-', exp_digits=1)} in {dtype}"
        for dtype, tolerance in TOLERANCE.items()
    ]
    note = f" ({num_float64_only} in float64 only)" if num_float64_only else ""
    return f"{count} {noun} with the authors' code to {' and '.join(bounds)}{note}"


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
