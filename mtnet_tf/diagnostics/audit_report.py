"""The result of `audit`, and the table that it prints."""

from dataclasses import dataclass

from tabulate import tabulate


@dataclass(frozen=True)
class Finding:
    """The derivatives of one layer, or of the whole meta-gradient.

    Attributes:
        layer: name of the layer.
        kind: class of the layer.
        verdict: "exact", "wrong", "first-order only" or "disconnected".
        first_error: relative error of the first derivative.
        second_error: relative error of the second derivative. The meta-gradient contains both
            derivatives and has one error, which is stored in both fields.
        operation: names of the operations that may cause the error.
        fix: what to do about it.
    """

    layer: str
    kind: str
    verdict: str
    first_error: float
    second_error: float
    operation: str
    fix: str

    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        errors = [f"{error:.1e}" for error in (self.first_error, self.second_error)]
        return (self.layer, self.kind, self.verdict, *errors, self.operation, self.fix)


@dataclass(frozen=True)
class Audit:
    """The result of `audit`; printing it gives a table.

    Attributes:
        layers: one `Finding` for each layer, in the order of the calls.
        meta_gradient: `Finding` of the whole model.
    """

    layers: list[Finding]
    meta_gradient: Finding

    @property
    def exact(self) -> bool:
        """True if every derivative is correct."""
        return all(f.verdict == "exact" for f in [*self.layers, self.meta_gradient])

    def __str__(self) -> str:
        """The table, in Markdown."""
        head = ("layer", "class", "verdict", "1st error", "2nd error", "through", "fix")
        findings = [*self.layers, self.meta_gradient]
        cells = [finding.cells() for finding in findings]
        return tabulate(cells, head, tablefmt="github", disable_numparse=True)
