import time

import pytest

from lean_lite.cli.delivery_stats import DeliveryStats
from tests.harness.bars import Row, live_bar

SECOND_NS = 10**9


def test_a_bar_that_arrives_again_unchanged_is_a_duplicate() -> None:
    stats = DeliveryStats()
    for bar in (live_bar(), live_bar(symbol="AAPL"), live_bar(seq=8, late=True)):
        stats.add(bar)
    assert (stats.delivered, stats.duplicated) == (3, 1)


@pytest.mark.parametrize("name", ["open", "high", "low", "close", "volume"])
def test_a_bar_with_another_value_is_a_revision(name: str) -> None:
    stats = DeliveryStats()
    stats.add(live_bar())
    stats.add(live_bar(**{name: 1.0}))
    assert (stats.delivered, stats.duplicated) == (2, 0)


def test_the_same_values_a_minute_later_are_another_bar() -> None:
    stats = DeliveryStats()
    stats.add(live_bar())
    stats.add(live_bar(start_ns=Row().at(1).start_ns))
    assert stats.duplicated == 0


def test_late_bars_and_bars_without_a_time_have_no_latency() -> None:
    stats = DeliveryStats()
    assert stats.add(live_bar(late=True, wall_ns=time.time_ns())) is None
    assert stats.add(live_bar(wall_ns=0)) is None
    assert stats.latency_ms() == {"p50": None, "p99": None}


def test_latency_is_measured_from_the_feed_to_the_client() -> None:
    wall_ns = time.time_ns() - 5 * SECOND_NS
    latency_ms = DeliveryStats().add(live_bar(wall_ns=wall_ns))
    assert latency_ms is not None
    assert latency_ms >= 5_000


def test_latencies_have_a_median_and_a_99th_percentile() -> None:
    stats = DeliveryStats()
    hour_ms = 3_600_000
    now_ns = time.time_ns()
    for hours in range(100):
        stats.add(live_bar(wall_ns=now_ns - hours * hour_ms * 10**6))
    found = {name: (value or 0) // hour_ms for name, value in stats.latency_ms().items()}
    assert found == {"p50": 50, "p99": 99}


def test_memory_is_bounded() -> None:
    stats = DeliveryStats(keys_max=2)
    for minute in (0, 1, 2, 0, 0):
        stats.add(live_bar(start_ns=Row().at(minute).start_ns))
    assert stats.duplicated == 1
