"""Compares this package with reference numbers of the authors' TF1 code.

Each file is compared twice, in float64 and in float32. A row of the table gives the largest
relative error of each kind of number; the error of one array is
max|ours - reference| / max|reference|. The reference is the float64 value in both cases.

Some numbers are compared at one precision only:

- Float64 only: arrays whose float32 value in the authors' code is not within 1e-4 of float64, and,
  with max pooling, gradients and everything after the first inner step. A file that contains
  nothing else is reported as "float64 only".
- Float32 only: the second Adam step, because the authors' Adam stores its constants in float32.
- Neither: Adam steps of float32 gradients that consist of rounding noise (below 1e-6 of the
  largest gradient), because Adam turns the sign of this noise into a full step.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from .golden import compute
from .reference_file import TOLERANCE, ReferenceFile, relative_error

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
    unknown = [n for n in reference.names() if _group(n) is None]
    if unknown:
        raise ValueError(f"{path} contains an array that this script does not know: {unknown[0]}.")
    judged = reference.judged(dtype)
    if not judged:
        if dtype == "float64":
            raise ValueError(f"{path} must contain float64 values (arrays named f64/...).")
        return {}
    results = _compute(reference, dtype, jit)
    worst: dict[str, tuple[float, str]] = {}
    for name in judged:
        if name not in results:
            raise ValueError(f"{path} contains an array that this script does not know: {name}.")
        ours, expected = _comparable(reference, name, results[name], dtype)
        group = _group(name)
        worst[group] = max(worst.get(group, (-1.0, "")), (relative_error(ours, expected), name))
    return worst


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table.

    Args:
        arguments: those of the command line, None for `sys.argv`.

    Returns:
        Exit status: 0 if all files agree, 1 otherwise.
    """
    options = _parser().parse_args(arguments)
    files = options.files or default_files()
    # Every file is a different network, so TensorFlow's warning about retracing is expected.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    _write(f"{'file':36}{'dtype':8}" + "".join(f"{group:>11}" for group in GROUPS))
    rows: list[tuple[str, dict[str, tuple[float, str]]]] = []
    problems: dict[Path, list[str]] = {}
    float64_only = 0
    for path in files:
        for dtype, tolerance in TOLERANCE.items():
            title = f"{path.stem:36}{dtype:8}"
            try:
                worst = compare(path, dtype, options.jit)
            except (ValueError, OSError, KeyError) as error:
                problems.setdefault(path, []).append(f"{title} cannot be compared: {error}")
                continue
            if not worst:
                float64_only += 1
                _write(f"{title} float64 only")
                continue
            rows.append((dtype, worst))
            _write(title + _cells({group: error for group, (error, _) in worst.items()}))
            bad = [f"{name} {error:.1e}" for error, name in worst.values() if error > tolerance]
            if bad:
                problems.setdefault(path, []).append(f"{title} above tolerance: {', '.join(bad)}")
    _write_summary(rows)
    for line in [line for lines in problems.values() for line in lines]:
        _write(f"FAILED {line}")
    _write(_conclusion(len(set(files)), len(problems), float64_only))
    return 1 if problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fidelity",
        description="Compares losses, outputs, adapted weights, meta-gradients and Adam steps of "
        "this package with numbers computed by the authors' TF1 code. The exit status is 0 if "
        "every relative error is at most 1e-8 in float64 and 1e-4 in float32, otherwise 1.",
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


def _write_summary(rows: list[tuple[str, dict[str, tuple[float, str]]]]) -> None:
    """Writes the largest error of each kind of number over all files."""
    for dtype in TOLERANCE:
        errors: dict[str, float] = {}
        for group, (error, _) in (x for d, worst in rows if d == dtype for x in worst.items()):
            errors[group] = max(errors.get(group, 0.0), error)
        _write(f"{'largest error':36}{dtype:8}" + _cells(errors))


def _conclusion(num_files: int, num_failed: int, num_float64_only: int) -> str:
    """The closing line."""
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
