"""Compares this package with reference numbers of the authors' TF1 code.

    python -m tests.fidelity [--jit] FILE.npz ...

Beside the files lies their MANIFEST.json with the authors' command-line flags. For each file and
precision, a row of the table gives the largest relative error of each kind of number: per array,
max|ours - reference| / max|reference|. Exit status 1 where one is above 1e-8 (float64) or 1e-4
(float32; only arrays whose own float32 reference is that close to float64), or a file can't be
compared. `--jit` compiles with XLA, as training does.

Left to float64 alone: under max pooling, where a near-tie falls either way in float32, gradients
and all that follows a first inner step. Left to float32 alone: the second Adam step, since the
reference's own Adam holds its constants in float32. Neither: Adam steps of float32 gradients that
are rounding (below 1e-6 of the largest), whose sign Adam turns into a full step.
"""

import logging
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from .golden import Case, compute

TOLERANCE = {"float64": 1e-8, "float32": 1e-4}
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


def relative_error(ours, reference):
    """max|ours - reference| / max|reference|, absolute where the reference is zero."""
    reference = np.asarray(reference, np.float64)
    ours = np.asarray(ours, np.float64).reshape(reference.shape)
    error = np.max(np.abs(ours - reference)) / (np.max(np.abs(reference)) or 1.0)
    return error if np.isfinite(error) else np.inf


def compare(path, dtype, jit=False):
    """Largest relative error of each group of numbers.

    Returns:
      Dict from group to (error, array); only what counts at this dtype.

    Raises:
      ValueError: if the file holds nothing to compare, or something unknown.
    """
    # On NVIDIA GPUs TensorFlow would otherwise round float32 products to ten bits.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    floatx = keras.config.floatx()
    # The optimizer keeps its learning rate in Keras' default dtype.
    keras.config.set_floatx(dtype)
    try:
        case = Case(Path(path), dtype)
        results = compute(case, jit)
    finally:
        keras.config.set_floatx(floatx)
    worst = {}
    for name in (n for n in case.arrays.files if n.startswith("f64/")):
        key = name.removeprefix("f64/")
        group = next((g for g, begins in GROUPS.items() if key.startswith(begins)), None)
        if group is None or key not in results:
            raise ValueError(f"{path} holds an array that this script doesn't know: {name}.")
        if key.split("/", 1)[-1] in case.dead or not _counts(case, group, key, dtype):
            continue
        ours, reference = _comparable(case, group, key, results[key], dtype)
        error = relative_error(ours, reference)
        worst[group] = max(worst.get(group, (-1.0, "")), (error, key))
    if not worst:
        raise ValueError(f"{path} holds no float64 reference (arrays named f64/...).")
    return worst


def _counts(case, group, key, dtype):
    """Whether an array is judged at this dtype, see the top of this file."""
    if dtype == "float64":
        return group != "adam2"
    if case.flags["max_pool"]:
        gradients = group in ("grad", "adam1", "adam2")
        if gradients or case.flags["num_updates"] > 1:
            return False
    own, reference = f"f32/{key}", case.arrays[f"f64/{key}"]
    if own not in case.arrays:
        return True
    return relative_error(case.arrays[own], reference) < TOLERANCE["float32"]


def _comparable(case, group, key, ours, dtype):
    """Our array and the reference, less what means nothing."""
    ours, reference = (
        np.asarray(ours, np.float64),
        np.asarray(case.arrays[f"f64/{key}"], np.float64),
    )
    ours = ours.reshape(reference.shape)
    if group == "accuracies":  # fractions, which the reference once held in float32
        return np.round(ours, 6), np.round(reference, 6)
    if key == "grad_norm":  # each norm by itself, however small
        alive = np.array([k not in case.dead for k in case.arrays["param_order"]])
        return ours[alive] / reference[alive], np.ones(alive.sum())
    gradient = key.replace("adam1", "grad").replace("adam2", "grad")
    if dtype == "float32" and group.startswith("adam") and f"f64/{gradient}" in case.arrays:
        size = np.abs(case.arrays[f"f64/{gradient}"])
        clear = size > 1e-6 * size.max()
        return np.where(clear, ours, reference), reference
    return ours, reference


def main(arguments):
    """Prints the table; returns the exit status."""
    jit, paths = "--jit" in arguments, [a for a in arguments if a != "--jit"]
    if not paths:
        sys.stderr.write("Usage: python -m tests.fidelity [--jit] FILE.npz ...\n")
        return 2
    # Every file is another network, so every compilation is a new one: not worth a warning.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    sys.stdout.write(f"{'file':44}{'dtype':8}" + "".join(f"{g:>12}" for g in GROUPS) + "\n")
    failed = []
    for path in paths:
        for dtype, tolerance in TOLERANCE.items():
            name = f"{Path(path).stem:44}{dtype:8}"
            try:
                worst = compare(path, dtype, jit)
            except (ValueError, OSError, KeyError) as error:
                failed.append(f"{name} can't be compared: {error}")
                continue
            cells = [f"{worst[g][0]:12.1e}" if g in worst else f"{'-':>12}" for g in GROUPS]
            sys.stdout.write(name + "".join(cells) + "\n")
            sys.stdout.flush()
            bad = [f"{key} {error:.1e}" for error, key in worst.values() if error > tolerance]
            failed += [f"{name} above tolerance: {', '.join(bad)}"] if bad else []
    sys.stdout.write("".join(f"FAILED {line}\n" for line in failed))
    return 1 if failed else 0
