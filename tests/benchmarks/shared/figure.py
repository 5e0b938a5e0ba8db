"""One thing that was measured, several times."""

import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple


class Figure(NamedTuple):
    """Hold the values of all rounds."""

    name: str
    unit: str
    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; `spread` is the lowest and the highest round."""
        return {
            "name": self.name,
            "unit": self.unit,
            "median": rounded(self.median),
            "spread": [rounded(min(self.rounds)), rounded(max(self.rounds))],
            "rounds": len(self.rounds),
        }


def ratio(name: str, theirs: Sequence[float], ours: Sequence[float]) -> Figure:
    """Return how many times as much the others need, round by round."""
    return Figure(name, "times", tuple(t / o for t, o in zip(theirs, ours, strict=True)))


def rounded(value: float) -> float:
    """Cut digits that nobody can measure."""
    return float(f"{value:.4g}")
