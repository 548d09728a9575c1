"""Output and exit status of a command."""

import sys
from collections.abc import Callable, Sequence

from mtnet_tf.experiments.devices import WorkerLostError
from mtnet_tf.experiments.flags import as_flags

# EX_TEMPFAIL: the same command may succeed when it is repeated.
WORKER_LOST = 75


Say = Callable[[str], None]


def say(text: str) -> None:
    """Prints a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say_nothing(text: str) -> None:
    """Prints nothing, in place of `say`."""


def default_verbosity() -> int:
    """A progress bar (1) in a terminal, otherwise lines (2), as `keras.Model.fit` numbers them."""
    return 1 if sys.stdout.isatty() else 2


def exit_status(
    program: str,
    work: Callable[[], int],
    flags: Sequence[str] = (),
    without: Sequence[str] = (),
) -> int:
    """Runs a command line; for invalid input, prints one sentence instead of a traceback.

    Args:
        program: name of the program, printed before the sentence.
        work: function without arguments that returns the exit status.
        flags: names of further flags of the program, see `as_flags`.
        without: names of flags that the program lacks, see `as_flags`.

    Returns:
        The status that `work` returns; 2 for invalid input, 75 if another worker has stopped, 130
        after an interruption.
    """
    try:
        return work()
    except WorkerLostError as error:
        sys.stderr.write(f"{program}: {error}\n")
        return WORKER_LOST
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{program}: {as_flags(str(error), flags, without)}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted. Repeat the same command to resume.\n")
        return 130
