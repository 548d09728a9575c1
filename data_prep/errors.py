"""The one exception a user of this package has to know."""

import contextlib
from collections.abc import Iterator
from pathlib import Path


class DataError(ValueError):
    """One line that says what was expected, what was received, and how to fix it."""

    def __init__(self, message: str) -> None:
        """Escapes characters of file names that cannot be printed on one line."""
        shown = message.encode("utf-8", "backslashreplace").decode("utf-8")
        super().__init__("".join(c if c.isprintable() else repr(c)[1:-1] for c in shown))


@contextlib.contextmanager
def os_errors_explained(data_dir: Path) -> Iterator[None]:
    """Turns a full disk, a read-only folder and the like into a `DataError`.

    Args:
        data_dir: named in the message if the system's error names no file.

    Raises:
        DataError: in place of any OSError raised inside.
    """
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise DataError(
            f"Cannot read or write `{error.filename or data_dir}`: there is a file where a "
            "folder is needed. Move it away, or choose another place for results."
        ) from error
    except OSError as error:
        raise DataError(
            f"Cannot read or write `{error.filename or data_dir}`: "
            f"{error.strerror or error}. Free or unlock it, or choose another place for results."
        ) from error
