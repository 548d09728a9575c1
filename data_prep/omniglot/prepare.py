"""Prepares Omniglot, or a procedurally drawn stand-in, for fast loading."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from data_prep.errors import DataError
from data_prep.images import Resampling, check_resampling
from data_prep.omniglot import synthetic
from data_prep.omniglot.folders import pack_resized, write_resized
from data_prep.omniglot.originals import CHARACTERS, Drawing, find_sources, read_drawings
from data_prep.preparation import Plan, is_prepared, prepare


def prepare_omniglot(
    data_dir: str | Path,
    sources: Sequence[str | Path] = (),
    resampling: Resampling = "nearest",
    force: bool = False,
    progress: bool = True,
) -> Path:
    """Prepares the real Omniglot: 1,623 characters, 20 drawings each, 28x28.

    Makes `data_dir/omniglot_resized` (PNG files, the layout of the original MAML
    code) and `data_dir/omniglot_packed` (see `load_packed`). Does nothing when the
    packed folder is there already. An `omniglot_resized` made by the original
    script is packed as it is.

    Args:
        data_dir: folder for the results.
        sources: the official archives images_background.zip and
            images_evaluation.zip, the folders unpacked from them, or a folder that
            contains them. By default they are searched in `data_dir`,
            `data_dir/omniglot` and the current folder, and downloaded if missing.
        resampling: "nearest" as the original code does in effect, or "lanczos", grey.
        force: build again, replacing what an earlier run of this function made.
        progress: whether to show bars on a terminal.

    Returns:
        The packed folder.

    Raises:
        DataError: one line that says what is wrong and how to fix it.
    """
    num_classes = sum(CHARACTERS.values())
    plan = _plan(data_dir, "omniglot", num_classes=num_classes, resampling=resampling)
    return _prepare(
        plan,
        lambda: read_drawings(find_sources(plan.data_dir, sources, progress=progress)),
        # The original script leaves no note; only what it would have made by
        # default, and no wish for other sources, lets its folder stand in.
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
    """Prepares procedurally drawn characters in place of Omniglot; needs no download.

    Like `prepare_omniglot`, but into `data_dir/omniglot_synthetic_...`. Class k of a
    seed is always the same, however many classes are asked for.

    Args:
        data_dir: folder for the results.
        num_classes: number of characters, 20 drawings each.
        seed: decides all drawings; not negative.
        resampling: this and the rest as in `prepare_omniglot`.
        force: see there.
        progress: see there.

    Returns:
        The packed folder.

    Raises:
        DataError: an argument is impossible, or as in `prepare_omniglot`.
    """
    if num_classes < 1:
        raise DataError(f"`num_classes` must be positive. Received: num_classes={num_classes}.")
    if seed < 0:
        raise DataError(f"`seed` must not be negative. Received: seed={seed}.")
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
    """The packed folder if it is prepared, with any options; otherwise prepares it now.

    Args:
        data_dir: folder of the results.
        synthetic: whether to want the procedurally drawn stand-in.

    Returns:
        The packed folder.

    Raises:
        DataError: one line that says what is wrong and how to fix it.
    """
    dataset = "omniglot_synthetic" if synthetic else "omniglot"
    packed = Path(data_dir) / f"{dataset}_packed"
    if is_prepared(packed):
        return packed
    return (prepare_synthetic_omniglot if synthetic else prepare_omniglot)(data_dir)


def _plan(data_dir: str | Path, dataset: str, **settings: Any) -> Plan:
    check_resampling(settings["resampling"])
    return Plan(
        data_dir=Path(data_dir),
        dataset=dataset,
        command="omniglot",
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
