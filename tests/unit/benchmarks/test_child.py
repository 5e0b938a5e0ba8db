import sys

import pytest

from tests.benchmarks.shared.child import child
from tests.benchmarks.shared.errors import BenchmarkError


def test_a_child_takes_turn_after_turn() -> None:
    with child(sys.executable, "tests.unit.benchmarks.juggler") as juggler:
        assert [juggler.turn("throw", balls=n) for n in (1, 3)] == [{"thrown": 1}, {"thrown": 3}]


def test_a_turn_that_fails_is_told_with_its_last_words() -> None:
    with (
        child(sys.executable, "tests.unit.benchmarks.juggler") as juggler,
        pytest.raises(BenchmarkError, match="4 balls are too many"),
    ):
        juggler.turn("throw", balls=4)


def test_a_module_that_is_not_there_is_told() -> None:
    with (
        child(sys.executable, "tests.unit.benchmarks.nobody") as nobody,
        pytest.raises(BenchmarkError, match="No module named tests"),
    ):
        nobody.turn("throw", balls=1)
