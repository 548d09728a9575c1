"""Prepares Omniglot, or a procedurally drawn stand-in, for fast loading."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep import synthetic
from data_prep.atomic import exclusive, is_vacant, recover, was_interrupted
from data_prep.drawings import Resampling, check_resampling
from data_prep.errors import DataError, os_errors_explained
from data_prep.omniglot_folders import Plan, pack_resized, read_marker, write_resized
from data_prep.omniglot_sources import CHARACTERS, Drawing, find_sources, read_drawings
from data_prep.packed import load_packed

OpenDrawings = Callable[[], Iterable[Drawing]]


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
        data_dir: where the results go.
        sources: the official archives images_background.zip and
            images_evaluation.zip, the folders unpacked from them, or a folder that
            holds them. By default they are searched in `data_dir`,
            `data_dir/omniglot` and the current folder, and downloaded if missing.
        resampling: "nearest" as the original code does in effect, or "lanczos", grey.
        force: build again, replacing what an earlier run of this function made.
        progress: whether to show bars on a terminal.

    Returns:
        The packed folder.

    Raises:
        DataError: says on one line what is wrong and how to mend it.
    """
    check_resampling(resampling)
    plan = Plan(
        data_dir=Path(data_dir),
        dataset="omniglot",
        synthetic=False,
        num_classes=sum(CHARACTERS.values()),
        options={"resampling": resampling},
    )
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

    Same layout as `prepare_omniglot`, in `data_dir/omniglot_synthetic_resized` and
    `data_dir/omniglot_synthetic_packed`. Class k of a seed is always the same,
    however many classes are asked for.

    Args:
        data_dir: where the results go.
        num_classes: number of characters, 20 drawings each.
        seed: decides all drawings; not negative.
        resampling: as in `prepare_omniglot`.
        force: build again, replacing what an earlier run of this function made.
        progress: whether to show bars on a terminal.

    Returns:
        The packed folder.

    Raises:
        DataError: says on one line what is wrong and how to mend it.
    """
    check_resampling(resampling)
    if num_classes < 1:
        raise DataError(f"`num_classes` must be positive. Received: num_classes={num_classes}.")
    if seed < 0:
        raise DataError(f"`seed` must not be negative. Received: seed={seed}.")
    plan = Plan(
        data_dir=Path(data_dir),
        dataset="omniglot_synthetic",
        synthetic=True,
        num_classes=num_classes,
        options={
            "resampling": resampling,
            "seed": seed,
            "generator_version": synthetic.GENERATOR_VERSION,
        },
    )
    return _prepare(
        plan,
        lambda: synthetic.draw_alphabets(num_classes, seed),
        accept_foreign=False,
        force=force,
        progress=progress,
    )


def ensure_omniglot(data_dir: str | Path, synthetic: bool = False) -> Path:
    """The packed folder as it was prepared, whatever its options; else prepares it now.

    Args:
        data_dir: where the results are, or go.
        synthetic: whether to want the procedurally drawn stand-in.

    Returns:
        The packed folder.

    Raises:
        DataError: says on one line what is wrong and how to mend it.
    """
    dataset = "omniglot_synthetic" if synthetic else "omniglot"
    packed = Path(data_dir) / f"{dataset}_packed"
    if not is_vacant(packed) and not was_interrupted(packed):
        return packed
    return (prepare_synthetic_omniglot if synthetic else prepare_omniglot)(data_dir)


def _prepare(
    plan: Plan,
    open_drawings: OpenDrawings,
    *,
    accept_foreign: bool,
    force: bool,
    progress: bool,
) -> Path:
    with os_errors_explained(plan.data_dir):
        folders = (plan.resized, plan.packed)
        if not force and not any(map(was_interrupted, folders)) and _is_ready(plan):
            return plan.packed
        with exclusive(plan.data_dir):
            for folder in folders:
                recover(folder)
            # Another process may have finished it while this one waited.
            if force or not _is_ready(plan):
                _build(plan, open_drawings, accept_foreign, force, progress)
    return plan.packed


def _build(
    plan: Plan, open_drawings: OpenDrawings, accept_foreign: bool, force: bool, progress: bool
) -> None:
    marker = read_marker(plan.resized)
    foreign = marker is None and not is_vacant(plan.resized)
    if foreign and not accept_foreign:
        raise DataError(
            f"`{plan.resized}` was not made by data_prep and is in the way. "
            "Move it away, or choose another --data_dir."
        )
    if marker is not None and not force:
        _check_settings(plan, plan.resized, marker["settings"])
    if not foreign and (marker is None or force):
        write_resized(plan, open_drawings(), replace=marker is not None, progress=progress)
    pack_resized(plan, replace=force, progress=progress)


def _is_ready(plan: Plan) -> bool:
    """Whether the packed folder is there, complete, and made with the same settings.

    The resized folder may be missing: once packed, its files can be deleted.
    """
    if is_vacant(plan.packed):
        return False
    _check_settings(plan, plan.packed, load_packed(plan.packed).details)
    if marker := read_marker(plan.resized):
        _check_settings(plan, plan.resized, marker["settings"])
    return True


def _check_settings(plan: Plan, folder: Path, found: Mapping[str, Any]) -> None:
    wanted = plan.settings
    for key in wanted:
        if found.get(key) != wanted[key]:
            raise DataError(
                f"`{folder}` was prepared with {key}={found.get(key)}, but {key}={wanted[key]} "
                "is asked for. Prepare it again with `python -m data_prep omniglot --force` and "
                "the same options, or choose another --data_dir."
            )
