"""Text on a terminal that cannot show every character."""

import codecs
import io
import sys

# Characters of our own output and of progress bars, and how they are written in ASCII.
_IN_ASCII = "± +/-, × x, · *, … ..., → ->, ← <-, ≤ <=, ≥ >=, – -, — -, − -, ✓ ok, ✗ x, µ u, μ u"
_IN_ASCII += ", ‘ ', ’ ', “ \", ” \", ━ =, ─ -, │ |, █ #, • *"
_PLAIN = {pair[0]: pair[2:] for pair in _IN_ASCII.split(", ")}
_READABLE = "data_prep_readable"


def make_output_readable() -> None:
    """Lets standard output and standard error print every text; called by each command.

    In place of an error, a character that the encoding of the stream lacks is shown by ASCII
    characters that resemble it, or as an escape sequence.
    """
    codecs.register_error(_READABLE, _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not in a notebook
            stream.reconfigure(errors=_READABLE)


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    plain = (_PLAIN.get(c, c).encode("ascii", "backslashreplace").decode() for c in text)
    return "".join(plain), error.end
