"""The stored measurements, and the page of the documentation that shows them."""

import json
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tabulate import tabulate

from data_prep.io import write_text
from mtnet_tf.diagnostics.derivative_rules import LAYER_RULES, OPERATION_RULES

from .function_rows import FUNCTION_ROWS, NOT_APPLICABLE_LOSSES
from .layer_rows import LAYER_ROWS, NOT_APPLICABLE
from .measure import MODES, Measurement

STORED = Path(__file__).with_name("measurements.json")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "second_derivatives.md"
ROWS = {row.label: row for row in [*LAYER_ROWS, *FUNCTION_ROWS]}

_RESIZE = OPERATION_RULES["ResizeBilinear"].alternative
# What to use instead of a row that is not exact, by a part of its label; the first one counts.
_INSTEAD = {
    "softsign": OPERATION_RULES["Softsign"].alternative,
    "moments": "Write the variance as `mean(square(x - mean(x)))`",
    "layer_normalization": "Use ExactLayerNormalization",
    "LayerNormalization": LAYER_RULES["LayerNormalization"].alternative,
    "image.resize": _RESIZE,
    "interpolation='bilinear'": LAYER_RULES["UpSampling2D"].alternative,
    "affine_transform": OPERATION_RULES["ImageProjectiveTransformV3"].alternative,
    "slice(": "Slice with `x[a:b]`, whose second derivative compiles",
    "crop_images": "Slice with `x[:, a:b, c:d]`",
    "CenterCrop(8": "Resize first, with ExactResizing",
    "MaxPooling2D(2), close values": "Use BlockMaxPooling2D, which `to_mtnet` inserts",
    "MaxPooling": "Do not compile with XLA: `compile(jit_compile=False)`",
    "max_pool": "Use `ops.max_pool`",
}
_HEAD = ("layer", *MODES, "use instead")


def store(measurements):
    """Writes the measurements of all rows, and the page.

    Args:
        measurements: dict from labels to a `Measurement` for each mode. The stored measurements of
            all other rows are kept.

    Raises:
        ValueError: if the stored measurements are of other versions.
    """
    versions = {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__}
    if measurements.keys() != ROWS.keys():
        before, kept = stored()
        if before != versions:
            raise ValueError(f"All rows must be measured. Received: {versions} after {before}.")
        measurements = {label: measurements.get(label, kept.get(label)) for label in ROWS}
    rows = {
        label: {mode: _rounded(found) for mode, found in modes.items()}
        for label, modes in measurements.items()
    }
    lines = ",\n".join(f"{json.dumps(label)}: {json.dumps(row)}" for label, row in rows.items())
    text = f'{{"versions": {json.dumps(versions)},\n"rows": {{\n{lines}\n}}}}\n'
    write_text(STORED, text)
    write_text(PAGE, page())


def stored():
    """(versions, dict from labels to a `Measurement` for each mode)."""
    content = json.loads(STORED.read_text(encoding="utf-8"))
    rows = {
        label: {mode: Measurement(*found) for mode, found in modes.items()}
        for label, modes in content["rows"].items()
    }
    return content["versions"], rows


def _rounded(found):
    def digits(x):
        return x if x is None or not np.isfinite(x) else float(f"{x:.1e}")

    verdict, first, second, precision = found
    finite = [None if x is None or not np.isfinite(x) else digits(x) for x in (first, second)]
    return [verdict, *finite, precision]


def page():
    """The Markdown page."""
    versions, rows = stored()
    exact = {label: r for label, r in rows.items() if _is_exact(r)}
    wrong = {label: r for label, r in rows.items() if label not in exact}
    layers = {row.label for row in LAYER_ROWS}
    parts = {
        "Layers that are not exact": {k: v for k, v in wrong.items() if k in layers},
        "Functions that are not exact": {k: v for k, v in wrong.items() if k not in layers},
        "Exact layers": {k: v for k, v in exact.items() if k in layers},
        "Exact functions": {k: v for k, v in exact.items() if k not in layers},
    }
    texts = [_INTRODUCTION.format(**versions, num_rows=len(rows), num_exact=len(exact))]
    for title, part in parts.items():
        texts.append(f"## {title}\n\n{_table(part)}\n")
    reasons = {**NOT_APPLICABLE, **{f"losses.{k}": v for k, v in NOT_APPLICABLE_LOSSES.items()}}
    texts.append("## Not measured\n")
    texts.append(tabulate(sorted(reasons.items()), ("class", "because"), "github") + "\n")
    return "\n".join(texts)


def _is_exact(row):
    return all(found.verdict in ("exact", "does not compile") for found in row.values())


def _table(rows):
    cells = [
        (f"`{label}`".replace("|", "\\|"), *map(_cell, modes.values()), _instead(label, modes))
        for label, modes in rows.items()
    ]
    return tabulate(cells, _HEAD, "github", disable_numparse=True)


def _cell(found):
    if found.verdict in ("no gradient", "does not compile", "no kernel"):
        return found.verdict
    errors = (found.first, found.second)
    text = ", ".join("not finite" if x is None else f"{x:.0e}" for x in errors)
    single = " in float32" if found.precision == "float32" else ""
    return f"{found.verdict} ({text}{single})"


def _instead(label, modes):
    if _is_exact(modes):
        return ""
    rule = LAYER_RULES.get(ROWS[label].name)
    if rule and "close" not in label:
        return rule.alternative
    return next((text for part, text in _INSTEAD.items() if part in label), "")


_INTRODUCTION = """# Second derivatives of Keras' layers in TensorFlow

A meta-gradient contains second derivatives of every layer that is behind an adapted weight.
TensorFlow silently computes wrong ones for some layers. This page lists all layers of Keras, its
activations and losses, and common operations: {num_exact} of {num_rows} rows are exact.

Measured with TensorFlow {tensorflow}, Keras {keras} and NumPy {numpy} on a CPU. The gradient of
the gradient, with respect to inputs and weights, is compared with central differences along random
directions, as `mtnet_tf.audit` does: eagerly, in a `tf.function` ("graph"), and in one compiled
with XLA. Each cell contains the verdict and the relative errors of the first and the second
derivative. Numbers are float64 where TensorFlow has it, in which correct derivatives have errors
below 1e-6; in float32 the limit is 5e-3.

| verdict | meaning |
|---|---|
| exact | both derivatives are correct |
| wrong | the second derivative is wrong, without an error message |
| first derivative wrong | even ordinary gradients are wrong, or stop on purpose |
| first-order only | TensorFlow has no second derivative and raises an error |
| no gradient | no gradient passes through |
| does not compile | the gradient of the gradient does not compile with XLA |
| no kernel | it cannot be computed in this mode |

"Close" values lie between 1 and 1.1, evenly spaced. XLA's second derivative of a maximum compares
rounded numbers and confuses such neighbours.

`MetaLearner` rejects the layers of the first table where gradients pass through them. The causes,
with programs to report them, are in [upstream](upstream/README.md).

This page is generated: `python -m tests.derivatives` measures everything again, which takes ten to
fifteen minutes; with `--only Resizing` the rows that contain this word, and with `--page` nothing.
"""
