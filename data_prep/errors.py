"""The exception of this package, which also explains errors of the operating system.

Next to it are the two rules for names of files that every package needs: how a user may write them,
and how they are shown.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path


def user_path(path: str | os.PathLike[str]) -> Path:
    """Returns a path that a user has written, with `~` or `~name` replaced by the home folder.

    As in a shell, `~name` stays as it is if there is no user of this name.
    """
    return Path(os.path.expanduser(path))


def user_paths(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    """Several paths as `user_path` returns them; a single one is a list of one."""
    return [user_path(p) for p in ([paths] if isinstance(paths, str | Path) else paths)]


def printable(name: object) -> str:
    r"""Returns the name of a file or class in a form that fits on one line and can be encoded.

    Bytes of the name that are not UTF-8, and characters that cannot be seen (such as a line break),
    are shown as escape sequences. All other names stay as they are.

    >>> printable("two\nlines"), printable("\udcff"), printable("cat")
    ('two\\nlines', '\\udcff', 'cat')

    Args:
        name: for example the name of a folder, as Python returns it: bytes that cannot be decoded
            are surrogate characters.
    """
    text = str(name)
    with contextlib.suppress(UnicodeEncodeError):  # a surrogate that does not stand for a byte
        # If the locale is not UTF-8, all other bytes than ASCII are surrogates.
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    shown = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in shown)


class DataError(ValueError):
    """One line that states what was expected, what was received, and how to fix it.

    Arguments that the message names are in backticks; the command line replaces them by its flags.
    """

    def __init__(self, message: str) -> None:
        """Escapes characters of file names that cannot be printed on one line."""
        super().__init__(printable(message))


@contextlib.contextmanager
def os_errors_explained(data_dir: Path) -> Iterator[None]:
    """Turns errors of the operating system, such as a full disk, into a `DataError`.

    Args:
        data_dir: named in the message if the system's error names no file.

    Raises:
        DataError: in place of any OSError that the block raises.
    """
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise DataError(
            f"Cannot read or write `{error.filename or data_dir}`: there is a file where a "
            "folder is needed. Move it away, or choose another place for the results."
        ) from error
    except OSError as error:
        raise DataError(
            f"Cannot read or write `{error.filename or data_dir}`: "
            f"{error.strerror or error}. Free or unlock it, or choose another place for the "
            "results."
        ) from error
