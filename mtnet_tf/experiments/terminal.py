"""Output and exit status of a command."""

import sys
from collections.abc import Callable, Sequence

from mtnet_tf.experiments.flags import as_flags


def say(text: str) -> None:
    """Prints a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


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
        The status that `work` returns; 2 for invalid input, 130 after an interruption.
    """
    try:
        return work()
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{program}: {as_flags(str(error), flags, without)}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted. Repeat the same command to resume.\n")
        return 130
