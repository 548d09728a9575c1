"""Reference files of the authors' TF1 code: reading them, and what each precision is judged on."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

# Largest accepted relative error per array.
TOLERANCE = {"float64": 1e-8, "float32": 1e-4}
# An activation that is zero up to rounding after the first Adam step passes its ReLU on one
# processor and not on another, and the second gradient changes with it.
SECOND_STEP_TOLERANCE = 1e-2


def tolerance_of(name: str, dtype: str) -> float:
    """The largest relative error at which an array agrees."""
    return SECOND_STEP_TOLERANCE if name.startswith("adam2") else TOLERANCE[dtype]


# Default values of the authors' flags (only flags that define a case).
DEFAULT_FLAGS = {
    "norm": "batch_norm", "max_pool": False, "update_batch_size": 5, "update_lr": 0.001,
    "num_updates": 1, "use_T": False, "use_M": False, "share_M": False, "stop_grad": False,
    "temp": 1.0, "meta_lr": 0.001, "conv": True,
}  # fmt: skip


def relative_error(ours: np.ndarray, reference: np.ndarray) -> float:
    """max|ours - reference| / max|reference|, absolute where the reference is zero.

    Args:
        ours: array with as many elements as the reference.
        reference: array of any shape.

    Returns:
        The error, infinite if any element is not a number.
    """
    reference = np.asarray(reference, np.float64)
    ours = np.asarray(ours, np.float64).reshape(reference.shape)
    error = np.max(np.abs(ours - reference)) / (np.max(np.abs(reference)) or 1.0)
    return float(error) if np.isfinite(error) else np.inf


def to_float32_image(pixels: np.ndarray) -> np.ndarray:
    """uint8 gray values -> float32 in [0, 1]; other arrays are returned unchanged."""
    return pixels.astype(np.float32) / np.float32(255) if pixels.dtype == np.uint8 else pixels


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReferenceFile:
    """One case: its arrays, and what the manifest says about it.

    Attributes:
        path: the .npz file.
        arrays: dict from name to array, see reference/README.md.
        flags: the authors' command-line flags that define the case, with defaults.
        dead: keys of parameters whose gradient is exactly zero (convolution biases under batch
            normalization). Their computed gradients are rounding noise, so nothing of them is
            compared.
        not_in_float32: names, without the prefix "f64/", of arrays on which float32 is not
            judged, because the reference's own float32 value is too far from float64. None if
            the reference has no float32 values at all.
    """

    path: Path
    arrays: dict[str, np.ndarray]
    flags: dict[str, Any]
    dead: frozenset[str]
    not_in_float32: frozenset[str] | None

    @classmethod
    def read(cls, path: str | Path) -> "ReferenceFile":
        """Reads an .npz file and its entry in MANIFEST.json.

        Args:
            path: the file; the manifest is in the same folder or in its parent folder.

        Raises:
            ValueError: if no manifest describes the file.
            OSError: if the file cannot be read.
        """
        path = Path(path)
        with np.load(path) as stored:
            arrays = {name: stored[name] for name in stored.files}
        arrays |= {n: to_float32_image(arrays[n]) for n in ("inputa", "inputb") if n in arrays}
        entry = _manifest_entry(path)
        excluded = entry.get("not_in_float32", _far_in_float32(arrays))
        return cls(
            path=path,
            arrays=arrays,
            flags=DEFAULT_FLAGS | entry["flags"],
            dead=frozenset(entry.get("dead_params_zero_gradient", ())),
            not_in_float32=None if excluded is None else frozenset(excluded),
        )

    def names(self) -> list[str]:
        """Names of the float64 reference arrays, without the prefix "f64/"."""
        return [n.removeprefix("f64/") for n in self.arrays if n.startswith("f64/")]

    def judged(self, dtype: str) -> list[str]:
        """Names of the arrays that are compared at a precision.

        Args:
            dtype: "float64" or "float32".

        Returns:
            List of names, without the prefix "f64/". It is empty for float32 if the file decides
            nothing in float32.
        """
        alive = [n for n in self.names() if n.split("/", 1)[-1] not in self.dead]
        if dtype == "float64":
            # The constants of the authors' Adam are float32: the second step shows the rounding.
            return [n for n in alive if not n.startswith("adam2")]
        if self.not_in_float32 is None:
            return []
        if self.flags["max_pool"]:
            # Two nearly equal values in a pooling window may change places in float32. All
            # gradients depend on that, and so does everything after the first inner step.
            if self.flags["num_updates"] > 1:
                return []
            alive = [n for n in alive if not n.startswith(("grad", "adam"))]
        return [n for n in alive if n not in self.not_in_float32]


def _manifest_entry(path: Path) -> dict[str, Any]:
    """The description of a file in MANIFEST.json."""
    for folder in (path.parent, path.parent.parent):
        manifest = folder / "MANIFEST.json"
        entries = json.loads(manifest.read_text()) if manifest.is_file() else {}
        if path.stem in entries:
            return entries[path.stem]
    raise ValueError(f"{path} must be described in a MANIFEST.json in its folder or the parent.")


def _far_in_float32(arrays: dict[str, np.ndarray]) -> list[str] | None:
    """Names whose float32 reference is not within tolerance of float64; None without float32."""
    names = [n.removeprefix("f32/") for n in arrays if n.startswith("f32/")]
    errors = {
        n: relative_error(arrays[f"f32/{n}"], arrays[f"f64/{n}"])
        for n in names
        if f"f64/{n}" in arrays
    }
    far = [n for n, error in errors.items() if error >= TOLERANCE["float32"]]
    return far if errors else None
