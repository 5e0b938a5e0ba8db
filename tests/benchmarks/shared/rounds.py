"""Rounds of turns: everybody's turn once in each, so that what disturbs one disturbs all."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.benchmarks.shared.errors import BenchmarkError
from tests.benchmarks.shared.figure import Figure

Told = dict[str, Any]
Check = Callable[[Mapping[str, Told]], None]
MICRO = 1e6


class Rounds:
    """Hold what everybody said, round by round."""

    def __init__(
        self,
        turns: Mapping[str, Callable[[int], Told]],
        count: int,
        check: Check | None = None,
    ) -> None:
        """
        Take the turns, each called with the number of the round; one more round warms up.

        BenchmarkError when a round's work was not equal, as `check` finds.
        """
        check = check or check_equal
        taken: list[dict[str, Told]] = []
        for number in range(count + 1):
            told = {name: turn(number) for name, turn in turns.items()}
            check(told)
            taken.append(told)
        self._told = taken[1:]

    def cpu_us(self, name: str, figure: str, *, per: str = "bar", count: int) -> Figure:
        """Return the CPU time of each round, divided by how much there was to do."""
        values = tuple(told[name]["cpu_s"] / count * MICRO for told in self._told)
        return Figure(figure, f"µs/{per}", values)

    def per_second(self, name: str, figure: str, *, count: int) -> Figure:
        """Return how much was done in a second of the clock on the wall."""
        values = tuple(count / told[name]["wall_s"] for told in self._told)
        return Figure(figure, "bars/s", values)

    def versions(self, name: str) -> dict[str, str]:
        """Return what a peer's turns say of its versions."""
        told: dict[str, str] = self._told[-1][name].get("versions", {})
        return told


def check_equal(told: Mapping[str, Told]) -> None:
    """Raise BenchmarkError unless all have delivered the same bars, in the same order."""
    delivered = {name: (one["bars"], one["digest"]) for name, one in told.items()}
    if len(set(delivered.values())) > 1:
        counts = ", ".join(f"{name} {bars}" for name, (bars, _) in delivered.items())
        message = f"the work was not equal, so the figures say nothing; bars delivered: {counts}"
        raise BenchmarkError(message)
