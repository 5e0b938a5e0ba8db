import time

import pytest

from lean_lite.cli import delivery_stats as module
from lean_lite.cli.delivery_stats import DeliveryStats
from tests.harness.bars import Row, live_bar

SECOND_NS = 10**9


def test_a_bar_that_comes_again_unchanged_is_a_duplicate() -> None:
    tally = DeliveryStats()
    for bar in (live_bar(), live_bar(symbol="AAPL"), live_bar(seq=8, late=True)):
        tally.add(bar)
    assert (tally.delivered, tally.duplicated) == (3, 1)


@pytest.mark.parametrize("name", ["open", "high", "low", "close", "volume"])
def test_a_bar_with_another_value_is_a_revision(name: str) -> None:
    tally = DeliveryStats()
    tally.add(live_bar())
    tally.add(live_bar(**{name: 1.0}))
    assert (tally.delivered, tally.duplicated) == (2, 0)


def test_the_same_values_a_minute_later_are_another_bar() -> None:
    tally = DeliveryStats()
    tally.add(live_bar())
    tally.add(live_bar(start_ns=Row().at(1).start_ns))
    assert tally.duplicated == 0


def test_late_bars_and_bars_without_a_time_have_no_latency() -> None:
    tally = DeliveryStats()
    assert tally.add(live_bar(late=True, wall_ns=time.time_ns())) is None
    assert tally.add(live_bar(wall_ns=0)) is None
    assert tally.latency_ms() == {"p50": None, "p99": None}


def test_latency_runs_from_the_wire_to_here() -> None:
    wall_ns = time.time_ns() - 5 * SECOND_NS
    latency_ms = DeliveryStats().add(live_bar(wall_ns=wall_ns))
    assert latency_ms is not None
    assert latency_ms >= 5_000


def test_the_median_and_the_99th_percentile_are_told() -> None:
    tally = DeliveryStats()
    hour_ms = 3_600_000
    now_ns = time.time_ns()
    for hours in range(100):
        tally.add(live_bar(wall_ns=now_ns - hours * hour_ms * 10**6))
    found = {name: (value or 0) // hour_ms for name, value in tally.latency_ms().items()}
    assert found == {"p50": 50, "p99": 99}


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEYS_MAX", 2)
    tally = DeliveryStats()
    for minute in (0, 1, 2, 0, 0):
        tally.add(live_bar(start_ns=Row().at(minute).start_ns))
    assert tally.duplicated == 1
