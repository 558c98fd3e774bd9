"""The table that benchmarks print: a figure, what it is measured against, its target and a verdict."""

import dataclasses
from collections.abc import Iterable

COLUMNS = ("measure", "here", "against", "result", "target", "verdict")


@dataclasses.dataclass(frozen=True)
class Figure:
    """One figure; `limit` is an upper bound, or a lower one if `at_least`. None: for comparison."""

    measure: str
    here: str
    against: str
    value: float
    unit: str = "x"
    limit: float | None = None
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        if self.limit is None:
            return True
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def cells(self) -> tuple[str, ...]:
        """Return the texts of its row."""
        result = f"{self.value:,.2f}{self.unit}" if self.value < 100 else f"{self.value:,.0f}{self.unit}"
        target = verdict = ""
        if self.limit is not None:
            target = f"{'>=' if self.at_least else '<='} {self.limit:,g}{self.unit}"
            verdict = "met" if self.met else "MISSED"
        return self.measure, self.here, self.against, result, target, verdict


def seconds(value: float) -> str:
    """Return a duration with a unit in which it has one to three digits before the point."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if abs(value) >= size:
            return f"{value / size:.2f} {unit}"
    return f"{value / 1e-9:.0f} ns"


def print_table(figures: Iterable[Figure]) -> None:
    """Print all figures under a heading, in columns as wide as they need."""
    rows = [COLUMNS, *(figure.cells() for figure in figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
