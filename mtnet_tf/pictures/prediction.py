"""Predictions on a user's own pictures, from folder to printed table and contact sheet."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from data_prep.images import SUFFIXES
from mtnet_tf.pictures.contact_sheet import write_contact_sheet
from mtnet_tf.pictures.few_shot_classifier import FewShotClassifier


class Prediction(NamedTuple):
    """The answer to one query.

    Attributes:
        path: of the picture.
        label: the most probable one, str.
        probability: of that label.
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
    """Learns the labels of one folder and predicts those of other pictures.

    Args:
        run_folder: of a run that was trained on pictures.
        support: folder with a folder of pictures for each label.
        query: a picture, or a folder of them.
        sheet: where to write the contact sheet; None: `contact_sheet.png` in the run folder.
        iteration: of the checkpoint, -1 for the best on validation.
        invert: see `FewShotClassifier`.

    Returns:
        Pair (list of `Prediction`, the text to print).

    Raises:
        ValueError: where there is no run, or folders and pictures make no sense.
    """
    examples, queries = find_support(support), find_queries(query)
    sheet = Path(sheet or Path(run_folder) / "contact_sheet.png")
    classifier = FewShotClassifier(run_folder, iteration=iteration, invert=invert)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it is printed
        classifier.fit([path for _, path in examples], [label for label, _ in examples])
    probabilities = classifier.predict_proba(queries)
    found = [
        Prediction(path, str(classifier.classes_[row.argmax()]), float(row.max()))
        for path, row in zip(queries, probabilities, strict=True)
    ]
    _draw(classifier, examples, found, sheet)
    return found, f"{classifier.inversion_}\n{_table(found)}\nContact sheet: {sheet}"


def find_support(folder: str | Path) -> list[tuple[str, Path]]:
    """The pictures of a support folder.

    Args:
        folder: holds a folder for each label.

    Returns:
        List of (label, path), sorted.

    Raises:
        ValueError: if it isn't one.
    """
    folder = _existing(folder, "`support`")
    labels = [p for p in sorted(folder.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    if not labels:
        raise ValueError(
            f"`support` must be a folder that holds a folder of pictures for each label. "
            f"Received: {folder}, without any folder in it."
        )
    loose = [p.name for p in sorted(folder.iterdir()) if _is_picture(Path(p.name)) and p.is_file()]
    if loose:
        raise ValueError(
            "`support` must hold every picture in the folder of its label. "
            f"Received: {folder}, with {loose[0]} beside its folders."
        )
    return [(label.name, path) for label in labels for path in _pictures(label, "`support`")]


def find_queries(query: str | Path) -> list[Path]:
    """The pictures to predict: `query` itself, or those in it, sorted.

    Raises:
        ValueError: if there are none.
    """
    query = Path(query)
    if query.is_file():
        return [query]
    if not query.exists():
        raise ValueError(
            f"`query` must be a picture or a folder of them. Received: {query}, where nothing is."
        )
    return _pictures(_existing(query, "`query`"), "`query`")


def _existing(folder: str | Path, name: str) -> Path:
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{name} must be a folder. Received: {folder}, which is none.")
    return folder


def _pictures(folder: Path, name: str) -> list[Path]:
    found = [p for p in sorted(folder.rglob("*")) if _is_picture(p.relative_to(folder))]
    found = [p for p in found if p.is_file()]
    if not found:
        raise ValueError(
            f"{name} must hold pictures. Received: {folder}, without any "
            f"({', '.join(sorted(SUFFIXES))})."
        )
    return found


def _is_picture(path: Path) -> bool:
    """Whether a path is named like a picture, and nothing in it is hidden."""
    hidden = any(part.startswith(".") for part in path.parts)
    return path.suffix.lower() in SUFFIXES and not hidden


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
    title = f"{len(support)} labels learned from {len(examples)} pictures"
    write_contact_sheet(sheet, title, support, queries)


def _table(found: Sequence[Prediction]) -> str:
    width = max(len(p.label) for p in found)
    return "\n".join(f"{p.label:<{width}}  {p.probability:6.1%}  {p.path}" for p in found)
