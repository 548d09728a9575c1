"""Prepares MiniImagenet, or a procedurally drawn replacement, for fast loading."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from data_prep.errors import DataError
from data_prep.images import MAX_BYTES, SUFFIXES
from data_prep.io import open_source, printable, user_path, user_paths, validate_workers
from data_prep.miniimagenet.folders import IMAGE_SHAPE, encode, pack_folder, shrink, write_folder
from data_prep.miniimagenet.inspection import (
    Inspection,
    find_images,
    first_of,
    inspect_images,
    usable,
)
from data_prep.miniimagenet.lists import HOME_PAGE, Wanted, find_list, read_lists
from data_prep.miniimagenet.synthetic import GENERATOR_VERSION, draw_texture, list_images, numbers
from data_prep.packed import SPLITS
from data_prep.preparation import Plan, is_prepared, prepare

SOURCE_NAME = "miniImagenet_source"
_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz")


def prepare_miniimagenet(
    data_dir: str | Path,
    sources: str | Path | Sequence[str | Path] = (),
    csv_dir: str | Path | None = None,
    *,
    allow_missing: bool = False,
    report: str | Path | None = None,
    force: bool = False,
    workers: int | None = None,
    progress: bool = True,
) -> Path:
    """Prepares the real MiniImagenet: 64, 16 and 20 classes of 600 images, 84x84 RGB.

    Creates `data_dir/miniImagenet/{train,val,test}/<class>/<image>.jpg`, the layout of the
    original MAML code, and `data_dir/miniImagenet_packed/{train,val,test}` (see `load_packed`).
    Does nothing if the packed folder exists. A folder `miniImagenet` that the original script
    created is packed without changes.

    Missing, extra, unreadable and duplicate images are logged before anything is written. A run
    that was interrupted is resumed by the next call.

    Args:
        data_dir: folder for the results.
        sources: folders (with any subfolders), zip or tar archives of the images that the CSV files
            list. By default, `data_dir/miniImagenet_source` and the archives in it.
        csv_dir: folder of train.csv, val.csv and test.csv by Ravi & Larochelle. By default, they
            are searched for in and next to the sources.
        allow_missing: continue without images that are missing or unreadable.
        report: text file that will contain all names, of which the log shows only a few.
        force: create the folders again, replacing those of an earlier call.
        workers: how many images to process in parallel; as many as cores by default.
        progress: whether to show bars on a terminal.

    Returns:
        The packed folder, which contains one packed folder per split.

    Raises:
        DataError: if the preparation fails; the message states how to fix it.
    """
    plan = _plan(data_dir, "miniImagenet", image_size=IMAGE_SHAPE[0])
    workers = validate_workers(workers)

    def write(replace: bool) -> None:
        paths = user_paths(sources) or _default_sources(plan.data_dir)
        with ExitStack() as stack:
            opened = [stack.enter_context(open_source(p, MAX_BYTES, SUFFIXES)) for p in paths]
            wanted = read_lists(_find_lists(paths, csv_dir))
            places = find_images(opened)
            found = inspect_images(wanted, places, workers=workers, progress=progress)
            _tell(found, report, wanted, allow_missing)
            write_folder(
                plan,
                usable(wanted, found),
                lambda entry: shrink(*first_of(places, entry[2])),
                identity={**plan.settings, "content": found.digest},
                notes={"duplicates": found.duplicates, "left_out": sorted(found.unusable)},
                workers=workers,
                progress=progress,
                replace=replace,
            )

    # The folder of the original script does not state how it was made. It can be used only if no
    # sources are named.
    accept = not sources
    return _prepare(plan, write, workers, accept_foreign=accept, force=force, progress=progress)


def prepare_synthetic_miniimagenet(
    data_dir: str | Path,
    num_classes: tuple[int, int, int] = (64, 16, 20),
    per_class: int = 600,
    seed: int = 0,
    *,
    force: bool = False,
    workers: int | None = None,
    progress: bool = True,
) -> Path:
    """Prepares procedurally drawn textures and shapes instead of MiniImagenet.

    Creates the same folders as `prepare_miniimagenet` under names that begin with
    `data_dir/miniImagenet_synthetic`. Image n of class k of a seed does not depend on
    `num_classes` and `per_class`.

    >>> packed = prepare_synthetic_miniimagenet("data", (3, 1, 1), per_class=2, progress=False)
    >>> packed.as_posix()
    'data/miniImagenet_synthetic_packed'

    Args:
        data_dir: folder for the results.
        num_classes: number of training, validation and test classes. Classes are numbered
            consecutively over the splits.
        per_class: number of images of each class.
        seed: determines all images; at least 0.
        force: see `prepare_miniimagenet`.
        workers: see `prepare_miniimagenet`.
        progress: see `prepare_miniimagenet`.

    Returns:
        The packed folder, which contains one packed folder per split.

    Raises:
        DataError: if an argument has a wrong value or the preparation fails.
    """
    if len(num_classes) != len(SPLITS) or min(num_classes) < 1:
        raise DataError(
            "`num_classes` must be three positive numbers, of training, validation and test "
            f"classes. Received: num_classes={tuple(num_classes)}."
        )
    if per_class < 1:
        raise DataError(f"`per_class` must be positive. Received: per_class={per_class}.")
    if seed < 0:
        raise DataError(f"`seed` must be at least 0. Received: seed={seed}.")
    settings = {
        "num_classes": list(num_classes),
        "per_class": per_class,
        "seed": seed,
        "generator_version": GENERATOR_VERSION,
    }
    plan = _plan(data_dir, "miniImagenet_synthetic", **settings)
    workers = validate_workers(workers)
    first, splits = 0, {}
    for split, number in zip(SPLITS, num_classes, strict=True):
        splits[split] = list_images(range(first, first + number), per_class)
        first += number

    def write(replace: bool) -> None:
        write_folder(
            plan,
            splits,
            lambda entry: encode(draw_texture(seed, *numbers(entry[2]))),
            identity=settings,
            notes={"duplicates": []},
            workers=workers,
            progress=progress,
            replace=replace,
        )

    return _prepare(plan, write, workers, accept_foreign=False, force=force, progress=progress)


def ensure_miniimagenet(data_dir: str | Path, synthetic: bool = False) -> Path:
    """Returns the packed folder. It is prepared if it does not exist.

    Args:
        data_dir: folder of the results. An existing packed folder may have any options. If there
            is none and `synthetic` is false, the images and the CSV files must be in
            `data_dir/miniImagenet_source`.
        synthetic: whether to use procedurally drawn images.

    Returns:
        The packed folder, which contains one packed folder per split.

    Raises:
        DataError: if the preparation fails; the message states how to fix it.
    """
    dataset = "miniImagenet_synthetic" if synthetic else "miniImagenet"
    packed = user_path(data_dir) / f"{dataset}_packed"
    if is_prepared(packed):
        return packed
    return (prepare_synthetic_miniimagenet if synthetic else prepare_miniimagenet)(data_dir)


def _plan(data_dir: str | Path, dataset: str, **settings: Any) -> Plan:
    return Plan(
        data_dir=user_path(data_dir),
        dataset=dataset,
        synthetic=dataset != "miniImagenet",
        folder_name=dataset,
        settings=settings,
        parts=SPLITS,
    )


def _prepare(
    plan: Plan,
    write: Callable[[bool], None],
    workers: int,
    *,
    accept_foreign: bool,
    force: bool,
    progress: bool,
) -> Path:
    def pack(replace: bool) -> None:
        pack_folder(plan, workers=workers, progress=progress, replace=replace)

    return prepare(plan, write, pack, accept_foreign=accept_foreign, force=force)


def _default_sources(data_dir: Path) -> list[Path]:
    folder = data_dir / SOURCE_NAME
    if not folder.is_dir():
        raise DataError(
            f"MiniImagenet was not found and cannot be downloaded: put its 60,000 images (a folder "
            f"or archive) and train.csv, val.csv, test.csv of {HOME_PAGE} (folder "
            f"data/miniImagenet) into `{folder}`, or prepare them from other folders (`sources`, "
            "`csv_dir`) with `prepare_miniimagenet` or `python -m data_prep miniimagenet`, or use "
            "procedurally drawn images with `synthetic=True`."
        )
    return [
        folder,
        *(path for path in sorted(folder.iterdir()) if path.suffix.lower() in _ARCHIVES),
    ]


def _find_lists(paths: Sequence[Path], csv_dir: str | Path | None) -> Path:
    """Returns the folder of the CSV files: `csv_dir`, or a folder in or next to the sources."""
    if csv_dir is not None:
        return user_path(csv_dir)
    places = [path for path in paths if path.is_dir()] + [path.resolve().parent for path in paths]
    with_list = (place for place in places if find_list(place, SPLITS[0]).is_file())
    return next(with_list, places[0])


def _tell(
    found: Inspection, report: str | Path | None, wanted: Wanted, allow_missing: bool
) -> None:
    """Reports the result of the inspection; raises if the sources cannot be used."""
    if report is not None:
        found.write(user_path(report))
    found.check(wanted, allow_missing)
    for line in found.summary():
        logging.getLogger(__name__).warning("MiniImagenet: %s", printable(line))
