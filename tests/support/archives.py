"""Builds very small Omniglot archives for the tests of `data_prep`."""

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

PARTS = ("images_background", "images_evaluation")
CLASSES = {
    "images_background": ("Greek/character01", "Braille/character01", "Greek/character02"),
    "images_evaluation": ("Angelic/character02", "Angelic/character01"),
}
NUM_CHARACTERS = {part: len(classes) for part, classes in CLASSES.items()}
SORTED_CLASSES = sorted(name for classes in CLASSES.values() for name in classes)


def encode_png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def scribble(seed: int, size: tuple[int, int] = (105, 105), mode: str = "1") -> Image.Image:
    pixels = np.random.default_rng(seed).random((size[1], size[0])) < 0.8
    return Image.fromarray((pixels * 255).astype(np.uint8)).convert(mode)


def part_files(part: str) -> dict[str, bytes]:
    """Returns the members of one archive; all drawings are different."""
    files = {}
    for k, name in enumerate(CLASSES[part]):
        for number in range(1, 21):
            seed = 1000 * PARTS.index(part) + 100 * k + number
            files[f"{part}/{name}/{k:04d}_{number:02d}.png"] = encode_png(scribble(seed))
    return files


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def write_folder(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def write_archives(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for part in PARTS:
        write_zip(folder / f"{part}.zip", part_files(part))
    return folder
