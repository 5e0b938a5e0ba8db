from typing import Any

import pytest

from tests.benchmarks.shared.errors import BenchmarkError
from tests.benchmarks.shared.rounds import Rounds


def turn_result(cpu_s: float, bars: int = 10, digest: str = "a") -> dict[str, Any]:
    return {"cpu_s": cpu_s, "wall_s": cpu_s * 2, "bars": bars, "digest": digest}


def test_turns_are_interleaved_and_the_first_round_warms_up() -> None:
    order: list[str] = []

    def turn(name: str, number: int) -> dict[str, Any]:
        order.append(f"{name}{number}")
        return turn_result(number)

    rounds = Rounds({name: lambda number, name=name: turn(name, number) for name in "AB"}, 2)  # type: ignore[misc]
    assert order == ["A0", "B0", "A1", "B1", "A2", "B2"]
    assert rounds.cpu_us("A", "a_cpu", count=10).rounds == (1e5, 2e5)
    assert rounds.per_second("A", "a", count=10).rounds == (5.0, 2.5)


@pytest.mark.parametrize("other", [turn_result(1.0, bars=9), turn_result(1.0, digest="b")])
def test_unequal_work_is_an_error(other: dict[str, Any]) -> None:
    with pytest.raises(BenchmarkError, match="the work was not equal"):
        Rounds({"A": lambda _: turn_result(1.0), "B": lambda _: other}, 1)
