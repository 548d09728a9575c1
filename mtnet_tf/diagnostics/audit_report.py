"""What an audit found, and its table."""

from typing import NamedTuple


class Finding(NamedTuple):
    """What the audit found of a layer, or of the whole meta-gradient.

    Attributes:
      layer: its name.
      kind: its class.
      verdict: "exact", "wrong", "first-order only" or "disconnected".
      first_error: relative error of the first derivative.
      second_error: relative error of the second derivative; of the meta-gradient, which holds
        both, its one error.
      operation: the operations that may be to blame.
      mend: what to do.
    """

    layer: str
    kind: str
    verdict: str
    first_error: float
    second_error: float
    operation: str
    mend: str


class Audit(NamedTuple):
    """The result of `audit`; prints as a table.

    Attributes:
      layers: list of `Finding`, in the order of the calls.
      meta_gradient: `Finding` of the whole.
    """

    layers: list
    meta_gradient: Finding

    @property
    def exact(self):
        """True if every derivative is right."""
        return all(f.verdict == "exact" for f in [*self.layers, self.meta_gradient])

    def __str__(self):
        """The table, in Markdown."""
        rows = [("layer", "class", "verdict", "1st error", "2nd error", "through", "mend")]
        rows.append(("---",) * len(rows[0]))
        for finding in [*self.layers, self.meta_gradient]:
            errors = [f"{e:.1e}" for e in (finding.first_error, finding.second_error)]
            rows.append((*finding[:3], *errors, *finding[5:]))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows
        ]
        return "\n".join(f"| {line} |" for line in lines)
