"""Makes the compact reference set in tests/fidelity/reference from the full one.

    python -m tests.fidelity.make_reference FULL [OUTPUT]

The compact set contains all sinusoid cases and the image cases listed below. It leaves out the
second Adam step, the 0/1 masks (they follow from the uniform draws), the gradients that are wrong
on purpose, and all float32 values. Instead of float32 values, the manifest lists the arrays on
which float32 is not judged. Every array that remains has the same bits as in the full set; images
are stored as uint8 if this is exact. The output is the same on each run.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .compare import REFERENCE
from .reference_file import ReferenceFile, to_float32_image

IMAGE_CASES = (
    "miniimagenet_mtnetfull_updates1",
    "omniglot_layernorm_mtnet_updates1",
    "omniglot_maml_updates3",
    "omniglot_mtnet_updates1",
)
KEPT = ("input", "label", "param", "U/", "f64/")


def make_reference(full: Path, output: Path) -> None:
    """Writes the compact files and their MANIFEST.json.

    Args:
        full: folder of the full set, with its MANIFEST.json.
        output: folder to write to; existing files are replaced.
    """
    output.mkdir(parents=True, exist_ok=True)
    entries = json.loads((full / "MANIFEST.json").read_text())
    manifest = {}
    for name in sorted([n for n in entries if n.startswith("sinusoid_")] + [*IMAGE_CASES]):
        reference = ReferenceFile.read(full / f"{name}.npz")
        arrays = {n: a for n, a in reference.arrays.items() if _is_kept(n)}
        arrays |= {n: _as_uint8_if_exact(arrays[n]) for n in ("inputa", "inputb")}
        np.savez_compressed(output / f"{name}.npz", **arrays)
        manifest[name] = {
            "flags": entries[name]["flags"],
            "dead_params_zero_gradient": sorted(reference.dead),
            "not_in_float32": _not_in_float32(reference),
        }
    lines = [f" {json.dumps(name)}: {json.dumps(entry)}" for name, entry in manifest.items()]
    (output / "MANIFEST.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _is_kept(name: str) -> bool:
    return name.startswith(KEPT) and not name.startswith("f64/adam2")


def _as_uint8_if_exact(images: np.ndarray) -> np.ndarray:
    """Gray values v of images that are exactly v / 255 in float32; else the array itself."""
    pixels = np.clip(np.rint(images * 255), 0, 255).astype(np.uint8)
    return pixels if np.array_equal(to_float32_image(pixels), images) else images


def _not_in_float32(reference: ReferenceFile) -> list[str] | None:
    """The names for the manifest: those that the compact file contains and that have a gradient."""
    if reference.not_in_float32 is None:
        return None
    alive = [n for n in reference.not_in_float32 if n.split("/", 1)[-1] not in reference.dead]
    return sorted(n for n in alive if _is_kept(f"f64/{n}"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Makes the compact reference set.")
    parser.add_argument("full", metavar="FULL", type=Path, help="folder of the full set")
    parser.add_argument(
        "output", metavar="OUTPUT", type=Path, nargs="?", default=REFERENCE,
        help="folder to write to; default: tests/fidelity/reference",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    make_reference(options.full, options.output)


if __name__ == "__main__":
    main()
