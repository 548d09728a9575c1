"""Prediction for a user's images: from folders to a printed table and a contact sheet."""

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from data_prep.images import MAX_BYTES, SUFFIXES
from data_prep.io import FolderSource, is_visible, printable, user_path
from mtnet_tf.pictures.contact_sheet import write_contact_sheet
from mtnet_tf.pictures.few_shot_classifier import FewShotClassifier


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The prediction for one query.

    Attributes:
        path: path of the image.
        label: the most probable label.
        probability: its probability.
    """

    path: Path
    label: str
    probability: float


def predict_pictures(
    run_folder: str | Path,
    support: str | Path,
    query: str | Path,
    *,
    sheet: str | Path | None = None,
    iteration: int = -1,
    invert: Literal["auto"] | bool = "auto",
) -> tuple[list[Prediction], str]:
    """Learns the labels of one folder and predicts the labels of other images.

    Args:
        run_folder: folder of a run that was trained on images.
        support: folder that contains a folder of images for each label.
        query: an image, or a folder of them.
        sheet: path of the contact sheet; None: `contact_sheet.png` in the run folder.
        iteration: iteration of the checkpoint, -1 for the best on validation.
        invert: see `FewShotClassifier`.

    Returns:
        Pair (list of `Prediction`, the text to print).

    Raises:
        ValueError: if there is no run, or a folder or an image is invalid.
    """
    examples, queries = find_support(support), find_queries(query)
    sheet = user_path(sheet or user_path(run_folder) / "contact_sheet.png")
    classifier = FewShotClassifier(run_folder, iteration=iteration, invert=invert)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the printed text contains it
        classifier.fit([path for _, path in examples], [label for label, _ in examples])
    probabilities = classifier.predict_proba(queries)
    found = [
        Prediction(path, str(classifier.classes_[row.argmax()]), float(row.max()))
        for path, row in zip(queries, probabilities, strict=True)
    ]
    _draw(classifier, examples, found, sheet)
    return found, f"{classifier.inversion_}\n{_table(found)}\nContact sheet: {printable(sheet)}"


def find_support(folder: str | Path) -> list[tuple[str, Path]]:
    """The images of a support folder.

    Args:
        folder: folder that contains a folder for each label.

    Returns:
        List of (label, path), sorted.

    Raises:
        ValueError: if there are no such folders, or images elsewhere.
    """
    folder = _existing(folder, "`support`")
    names = _names(folder)
    labels = [p for p in sorted(folder.iterdir()) if p.is_dir() and is_visible(p.name)]
    if not labels:
        raise ValueError(
            f"`support` must be a folder that contains a folder of images for each label. "
            f"Received: {printable(folder)}, which contains no folder."
        )
    if loose := [name for name in names if "/" not in name]:
        raise ValueError(
            "`support` must contain every image in the folder of its label. "
            f"Received: {printable(folder)}, with {printable(loose[0])} next to its folders."
        )
    return [(label.name, path) for label in labels for path in _pictures(label, "`support`")]


def find_queries(query: str | Path) -> list[Path]:
    """The images to predict: `query` itself, or those in it, sorted.

    Raises:
        ValueError: if there are none.
    """
    query = user_path(query)
    if query.is_file():
        return [query]
    if not query.exists():
        raise ValueError(
            "`query` must be an image or a folder of images. "
            f"Received: {printable(query)}, which does not exist."
        )
    return _pictures(_existing(query, "`query`"), "`query`")


def _existing(folder: str | Path, name: str) -> Path:
    folder = user_path(folder)
    if not folder.is_dir():
        raise ValueError(
            f"{name} must be a folder. Received: {printable(folder)}, which is not one."
        )
    return folder


def _pictures(folder: Path, name: str) -> list[Path]:
    found = sorted(folder / picture for picture in _names(folder))
    if not found:
        raise ValueError(
            f"{name} must contain images. Received: {printable(folder)}, which contains none "
            f"({', '.join(sorted(SUFFIXES))})."
        )
    return found


def _names(folder: Path) -> list[str]:
    """The images in a folder and below it, without those that an operating system created."""
    return FolderSource(folder, MAX_BYTES, SUFFIXES).names


def _draw(
    classifier: FewShotClassifier,
    examples: Sequence[tuple[str, Path]],
    found: Sequence[Prediction],
    sheet: Path,
) -> None:
    load, inverted = classifier.preparation.load, classifier.inverted_
    support = {}
    for label, path in examples:
        support.setdefault(label, []).append(load([path], inverted)[0])
    pictures = load([p.path for p in found], inverted)
    queries = [
        (picture, prediction.path.name, prediction.label, prediction.probability)
        for picture, prediction in zip(pictures, found, strict=True)
    ]
    title = f"{len(support)} labels learned from {len(examples)} images"
    write_contact_sheet(sheet, title, support, queries)


def _table(found: Sequence[Prediction]) -> str:
    labels = [printable(p.label) for p in found]
    width = max(map(len, labels))
    return "\n".join(
        f"{label:<{width}}  {p.probability:6.1%}  {printable(p.path)}"
        for label, p in zip(labels, found, strict=True)
    )
