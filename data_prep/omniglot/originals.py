"""Finds or downloads the two archives of Omniglot and reads their drawings."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image

from data_prep.errors import DataError
from data_prep.images import decode_png
from data_prep.io import DownloadError, ImageSource, download, open_source, user_paths

HOME_PAGE = "https://github.com/brendenlake/omniglot"
DOWNLOAD_URL = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python"
CHARACTERS = {"images_background": 964, "images_evaluation": 659}
MD5 = {
    "images_background": "68d2efa1b9178cc56df9314c21c6e718",
    "images_evaluation": "6b91aef0f799c5bb55b94e3f2daec811",
}
DRAWINGS_PER_CHARACTER = 20
SIDE = 105
# Ten times the size of 105x105 pixels of 1 bit without compression.
MAX_BYTES = 1 << 14


@dataclass(frozen=True)
class Drawing:
    """One drawing of a character.

    Attributes:
        class_name: <alphabet>/<character>.
        file_name: name of the PNG file.
        image: 105x105 pixels of 1 bit, black ink on white paper.
    """

    class_name: str
    file_name: str
    image: Image.Image


def find_sources(
    data_dir: Path, sources: str | Path | Sequence[str | Path], *, progress: bool
) -> list[Path]:
    """Finds an archive or a folder for each of the two parts of Omniglot.

    Args:
        data_dir: folder to search, and to download into.
        sources: where to look instead: archives, folders unpacked from them, or a folder that
            contains these. If there are any, nothing is downloaded.
        progress: whether to show a bar while downloading.

    Returns:
        The paths of the parts.

    Raises:
        DataError: if a part is missing and cannot be downloaded.
    """
    if sources:
        return [path for source in user_paths(sources) for path in _parts_at(source)]
    places = [data_dir, data_dir / "omniglot", Path.cwd()]
    found = []
    for part in CHARACTERS:
        local = [path for place in places if (path := _find_part(part, place))]
        found.append(local[0] if local else _download_part(part, data_dir, progress=progress))
    return found


def _find_part(part: str, place: Path) -> Path | None:
    # Names may be in upper case.
    found = {path.name.lower(): path for path in place.iterdir()} if place.is_dir() else {}
    archive, folder = found.get(f"{part}.zip"), found.get(part)
    if archive and archive.is_file():
        return archive
    return folder if folder and folder.is_dir() else None


def _parts_at(source: Path) -> list[Path]:
    """Returns the parts in a folder that contains them, otherwise the path itself."""
    if not source.is_dir():
        return [source]
    return [path for part in CHARACTERS if (path := _find_part(part, source))] or [source]


def _download_part(part: str, data_dir: Path, *, progress: bool) -> Path:
    target = data_dir / "omniglot" / f"{part}.zip"
    try:
        download(f"{DOWNLOAD_URL}/{part}.zip", target, MD5[part], progress=progress)
    except DownloadError as error:
        names = " and ".join(f"{part}.zip" for part in CHARACTERS)
        raise DataError(
            f"`{part}.zip` was not found and cannot be downloaded ({error}): put {names} from "
            f"{HOME_PAGE} (folder python) into `{target.parent}`, or prepare them from another "
            "folder (`sources`) with `python -m data_prep omniglot`, or use procedurally drawn "
            "characters with `synthetic=True`."
        ) from error
    return target


def read_drawings(paths: Sequence[Path]) -> Iterator[Drawing]:
    """Yields every drawing, class by class in sorted order.

    The lists of members are checked before the first drawing is read.

    Args:
        paths: an archive or a folder for each part, in any order.

    Raises:
        DataError: if a part is missing, given twice, incomplete or damaged.
    """
    with ExitStack() as stack:
        sources = [stack.enter_context(open_source(path, MAX_BYTES)) for path in paths]
        characters = _join_parts(sources)
        for class_name in sorted(characters):
            source, members = characters[class_name]
            for member in members:
                image = decode_png(source.read(member), source.where(member), (SIDE, SIDE), "1")
                yield Drawing(class_name, PurePosixPath(member).name, image)


def _join_parts(
    sources: Sequence[ImageSource],
) -> dict[str, tuple[ImageSource, list[str]]]:
    """Checks that the sources form a complete Omniglot; returns class -> (source, members)."""
    by_part: dict[str, ImageSource] = {}
    joined: dict[str, tuple[ImageSource, list[str]]] = {}
    for source in sources:
        part = _part_of(source)
        if part in by_part:
            raise DataError(
                f"`{by_part[part].path}` and `{source.path}` both contain {part}. "
                f"Name {' and '.join(CHARACTERS)} once each."
            )
        by_part[part] = source
        for class_name, members in group_by_class(source, CHARACTERS[part]).items():
            if class_name in joined:
                other = joined[class_name][0].path
                raise DataError(
                    f"`{other}` and `{source.path}` both contain the character `{class_name}`, "
                    f"which must be in only one of them. Fetch fresh copies from {HOME_PAGE}."
                )
            joined[class_name] = (source, members)
    missing = [part for part in CHARACTERS if part not in by_part]
    if missing:
        raise DataError(
            f"Omniglot has two archives; {' and '.join(missing)} is missing next to "
            f"`{sources[0].path}`. Add it to `sources`."
        )
    return joined


def _part_of(source: ImageSource) -> str:
    """Returns the part that a source contains, by the top folder in it or by its own name."""
    tops = {name.split("/", 1)[0].lower() for name in source.names} & set(CHARACTERS)
    parts = tops or {source.path.resolve().stem.lower()} & set(CHARACTERS)
    if len(parts) != 1:
        raise DataError(
            f"`{source.path}` must contain one of {' or '.join(CHARACTERS)}. Received: "
            f"{' and '.join(sorted(parts)) or 'neither'}. Get both archives from {HOME_PAGE}."
        )
    return parts.pop()


def group_by_class(source: ImageSource, num_characters: int) -> dict[str, list[str]]:
    """Groups members `[<part>/]<alphabet>/<character>/<drawing>.png` by class.

    Args:
        source: contains the members.
        num_characters: required number of classes.

    Returns:
        Sorted member names by "<alphabet>/<character>".

    Raises:
        DataError: if the layout, the number of characters or the number of drawings is wrong.
    """
    classes: dict[str, list[str]] = defaultdict(list)
    for name in source.names:
        *folders, _ = name.split("/")
        if folders and folders[0].lower() in CHARACTERS:
            folders = folders[1:]
        if len(folders) != 2:
            raise DataError(
                f"{source.where(name)} must be at <alphabet>/<character>/<drawing>.png. "
                "Use the unaltered archive or folder."
            )
        classes["/".join(folders)].append(name)
    if len(classes) != num_characters:
        raise DataError(
            f"`{source.path}` must contain {num_characters} characters. Received: {len(classes)}. "
            "Fetch a complete copy of it."
        )
    for class_name, members in classes.items():
        if len(members) != DRAWINGS_PER_CHARACTER:
            raise DataError(
                f"{source.where(class_name)} must contain {DRAWINGS_PER_CHARACTER} drawings. "
                f"Received: {len(members)}. Fetch a complete copy of it."
            )
    return dict(classes)
