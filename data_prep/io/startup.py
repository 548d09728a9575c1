"""What a command shows while it starts: nothing of TensorFlow's, except errors."""

import contextlib
import faulthandler
import gc
import os
import re
import sys
import tempfile
from collections.abc import Iterator

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_ERRORS_ONLY = "3"
# Lines of TensorFlow's C++ code: "I0000 00:00:1700000000.000000    123 file.cc:1] ...".
_LOG = re.compile(
    rb"[IWE]\d{4} \d\d:\d\d:.*\]|WARNING: All log messages before absl::InitializeLog"
)


@contextlib.contextmanager
def quiet_start(program: str) -> Iterator[None]:
    """Hides the messages of TensorFlow's C++ code in a block of imports.

    TensorFlow reads the environment variable when it is imported, but logs some lines before. So
    file descriptor 2 is redirected, too, and everything but these lines is written afterwards.
    After a crash of the process, `faulthandler` shows where it happened. A user who has set the
    variable to a lower level sees everything.

    Garbage is not collected in the block: imports create many objects and hardly any garbage, and
    looking for it takes half a second. The objects are then left out of later collections, too.

    Only commands call this: importing a package must not change the environment or the streams.

    Args:
        program: name of the command, for the message.

    Raises:
        SystemExit: with status 2 and one sentence, if `mtnet_tf` cannot work in this environment.
    """
    _open_closed_streams()
    hides = os.environ.setdefault(_LEVEL, _ERRORS_ONLY) == _ERRORS_ONLY
    try:
        with _filtered_stderr() if hides else contextlib.nullcontext(), _no_garbage_collection():
            yield
    except ImportError as error:
        if error.name != "mtnet_tf":
            raise
        sys.stderr.write(f"{program}: {error}\n")
        sys.exit(2)


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


def _open_closed_streams() -> None:
    """Opens standard streams that are closed, as by `2>&-` in a shell, so that writing is possible.

    Otherwise the next file that is opened, such as a checkpoint, would be standard error.
    """
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_WRONLY)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, "w"))


@contextlib.contextmanager
def _filtered_stderr() -> Iterator[None]:
    """Redirects file descriptor 2 to a file, and writes what is not a log line at the end."""
    with contextlib.ExitStack() as stack:
        try:
            original = os.dup(2)
            stack.callback(os.close, original)
            file = stack.enter_context(tempfile.TemporaryFile())
        except OSError:  # no place for a file
            yield
            return
        sys.stderr.flush()
        os.dup2(file.fileno(), 2)
        handles_faults = not faulthandler.is_enabled()
        if handles_faults:
            faulthandler.enable(original)
        try:
            yield
        finally:
            if handles_faults:
                faulthandler.disable()
            sys.stderr.flush()
            os.dup2(original, 2)
            file.seek(0)
            lines = [line for line in file if not _LOG.match(line)]
            with contextlib.suppress(OSError):  # for example a closed pipe
                os.write(2, b"".join(lines))
