"""Prepares Omniglot, or a procedurally drawn replacement, for fast loading."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from data_prep.errors import DataError
from data_prep.images import Resampling, check_resampling
from data_prep.io import user_path
from data_prep.omniglot import synthetic
from data_prep.omniglot.folders import pack_resized, write_resized
from data_prep.omniglot.originals import CHARACTERS, Drawing, find_sources, read_drawings
from data_prep.preparation import Plan, is_prepared, prepare


def prepare_omniglot(
    data_dir: str | Path,
    sources: str | Path | Sequence[str | Path] = (),
    resampling: Resampling = "nearest",
    force: bool = False,
    progress: bool = True,
) -> Path:
    """Prepares the real Omniglot: 1,623 characters, 20 drawings each, 28x28 pixels.

    Creates `data_dir/omniglot_resized` (PNG files in the layout of the original MAML code) and
    `data_dir/omniglot_packed` (see `load_packed`). Does nothing if the packed folder exists. A
    folder `omniglot_resized` that the original script created is packed without changes.

    Args:
        data_dir: folder for the results.
        sources: the official archives images_background.zip and images_evaluation.zip, the folders
            unpacked from them, or a folder that contains these. By default, the archives are
            searched for in `data_dir`, `data_dir/omniglot` and the current folder, and downloaded
            if they are missing.
        resampling: "nearest" for black and white images as in the original code, or "lanczos" for
            grey ones.
        force: create the folders again, replacing those of an earlier call.
        progress: whether to show bars on a terminal.

    Returns:
        The packed folder.

    Raises:
        DataError: if the preparation fails; the message states how to fix it.
    """
    num_classes = sum(CHARACTERS.values())
    plan = _plan(data_dir, "omniglot", num_classes=num_classes, resampling=resampling)
    return _prepare(
        plan,
        lambda: read_drawings(find_sources(plan.data_dir, sources, progress=progress)),
        # The folder of the original script does not state how it was made. It can be used only if
        # its defaults are requested.
        accept_foreign=resampling == "nearest" and not sources,
        force=force,
        progress=progress,
    )


def prepare_synthetic_omniglot(
    data_dir: str | Path,
    num_classes: int = 1623,
    seed: int = 0,
    resampling: Resampling = "nearest",
    force: bool = False,
    progress: bool = True,
) -> Path:
    """Prepares procedurally drawn characters instead of Omniglot, without a download.

    Creates the same folders as `prepare_omniglot` under names that begin with
    `data_dir/omniglot_synthetic`. Class k of a seed does not depend on `num_classes`.

    >>> packed = prepare_synthetic_omniglot("data", num_classes=5, progress=False)
    >>> packed.as_posix()
    'data/omniglot_synthetic_packed'

    Args:
        data_dir: folder for the results.
        num_classes: number of characters, with 20 drawings each.
        seed: determines all drawings; at least 0.
        resampling: see `prepare_omniglot`.
        force: see `prepare_omniglot`.
        progress: see `prepare_omniglot`.

    Returns:
        The packed folder.

    Raises:
        DataError: if an argument has a wrong value or the preparation fails.
    """
    if num_classes < 1:
        raise DataError(f"`num_classes` must be positive. Received: num_classes={num_classes}.")
    if seed < 0:
        raise DataError(f"`seed` must be at least 0. Received: seed={seed}.")
    plan = _plan(
        data_dir,
        "omniglot_synthetic",
        num_classes=num_classes,
        resampling=resampling,
        seed=seed,
        generator_version=synthetic.GENERATOR_VERSION,
    )
    return _prepare(
        plan,
        lambda: synthetic.draw_alphabets(num_classes, seed),
        accept_foreign=False,
        force=force,
        progress=progress,
    )


def ensure_omniglot(data_dir: str | Path, synthetic: bool = False) -> Path:
    """Returns the packed folder. It is prepared if it does not exist.

    Args:
        data_dir: folder of the results. An existing packed folder may have any options.
        synthetic: whether to use procedurally drawn characters.

    Returns:
        The packed folder.

    Raises:
        DataError: if the preparation fails; the message states how to fix it.
    """
    dataset = "omniglot_synthetic" if synthetic else "omniglot"
    packed = user_path(data_dir) / f"{dataset}_packed"
    if is_prepared(packed):
        return packed
    return (prepare_synthetic_omniglot if synthetic else prepare_omniglot)(data_dir)


def _plan(data_dir: str | Path, dataset: str, **settings: Any) -> Plan:
    check_resampling(settings["resampling"])
    return Plan(
        data_dir=user_path(data_dir),
        dataset=dataset,
        synthetic=dataset != "omniglot",
        folder_name=f"{dataset}_resized",
        settings=settings,
    )


def _prepare(
    plan: Plan,
    open_drawings: Callable[[], Iterable[Drawing]],
    *,
    accept_foreign: bool,
    force: bool,
    progress: bool,
) -> Path:
    return prepare(
        plan,
        lambda replace: write_resized(plan, open_drawings(), replace=replace, progress=progress),
        lambda replace: pack_resized(plan, replace=replace, progress=progress),
        accept_foreign=accept_foreign,
        force=force,
    )
