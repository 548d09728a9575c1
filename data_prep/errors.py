"""The exception of this package, which also explains errors of the operating system."""

import contextlib
from collections.abc import Iterator
from pathlib import Path


class DataError(ValueError):
    """One line that states what was expected, what was received, and how to fix it.

    Arguments that the message names are in backticks; the command line replaces them by its flags.
    """

    def __init__(self, message: str) -> None:
        """Escapes characters of file names that cannot be printed on one line."""
        shown = message.encode("utf-8", "backslashreplace").decode("utf-8")
        super().__init__("".join(c if c.isprintable() else repr(c)[1:-1] for c in shown))


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
