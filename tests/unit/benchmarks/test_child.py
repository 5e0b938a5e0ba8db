import sys

import pytest

from tests.benchmarks.shared.child import child
from tests.benchmarks.shared.errors import BenchmarkError


def test_a_child_runs_several_turns() -> None:
    with child(sys.executable, "tests.unit.benchmarks.counting_child") as process:
        assert [process.turn("count", number=n) for n in (1, 3)] == [{"counted": 1}, {"counted": 3}]


def test_the_error_of_a_failed_turn_is_reported() -> None:
    with (
        child(sys.executable, "tests.unit.benchmarks.counting_child") as process,
        pytest.raises(BenchmarkError, match="4 is above 3"),
    ):
        process.turn("count", number=4)


def test_a_missing_module_is_reported() -> None:
    with (
        child(sys.executable, "tests.unit.benchmarks.missing") as process,
        pytest.raises(BenchmarkError, match="No module named tests"),
    ):
        process.turn("count", number=1)
