"""Builds a very small MiniImagenet for the tests of `data_prep`."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from support.archives import write_folder

LISTS = {"train": ("n01", "n02", "n03"), "val": ("n04",), "test": ("n05", "n06")}
PER_CLASS = 4


def photo(seed: int, size: tuple[int, int] = (84, 84)) -> Image.Image:
    """An image of coarse blocks of colour, whose JPEG file is small and depends on the seed."""
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST)


def encode(image: Image.Image, format: str = "JPEG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def file_names(label: str) -> list[str]:
    return [f"{label}{number:08d}.jpg" for number in range(1, PER_CLASS + 1)]


def jpegs(size: tuple[int, int] = (84, 84)) -> dict[str, bytes]:
    """Returns the files of every image, in a layout very different from the final one."""
    labels = [label for labels in LISTS.values() for label in labels]
    return {
        f"images/{k % 2}/{name}": encode(photo(100 * k + number, size))
        for k, label in enumerate(labels)
        for number, name in enumerate(file_names(label))
    }


def csv_text(labels) -> str:
    rows = [f"{name},{label}" for label in labels for name in file_names(label)]
    return "\n".join(["filename,label", *rows]) + "\n"


def csv_files() -> dict[str, bytes]:
    return {f"{split}.csv": csv_text(labels).encode() for split, labels in LISTS.items()}


def write_source(folder: Path, size: tuple[int, int] = (84, 84)) -> Path:
    """Writes images and CSV files, like those of a user."""
    write_folder(folder, jpegs(size) | csv_files())
    return folder
