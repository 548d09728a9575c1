"""What a command prints, and its exit status."""

import sys
from collections.abc import Callable, Sequence

from mtnet_tf.experiments.flags import as_flags


def say(text: str) -> None:
    """Prints a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def exit_status(program: str, work: Callable[[], int], flags: Sequence[str] = ()) -> int:
    """Runs a command line; a bad input is one sentence, never a traceback.

    Args:
        program: its name, before the sentence.
        work: function without arguments that returns the exit status.
        flags: names of further flags of the program, for messages.

    Returns:
        That status, or 2 for a bad input, 130 for an interruption.
    """
    try:
        return work()
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{program}: {as_flags(str(error), flags)}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted; the same command continues from here.\n")
        return 130
