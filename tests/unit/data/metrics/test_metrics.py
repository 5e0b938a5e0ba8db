import json
import threading

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_lite.data import DataMetrics
from lean_lite.data.metrics import MetricsSnapshot
from lean_lite.data.metrics.histogram import Histogram
from lean_lite.model import DataQualityLevel

LATENCIES = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=200)


@given(LATENCIES, st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_a_percentile_is_within_its_relative_error(values: list[float], share: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    at = min(int(-(-share * len(values) // 1)), len(values)) - 1
    assert histogram.percentile(share) == pytest.approx(sorted(values)[at], rel=0.006)


@given(LATENCIES, LATENCIES)
def test_merged_histograms_have_the_sum_of_their_counts(
    first: list[float], second: list[float]
) -> None:
    one, other, both = Histogram(), Histogram(), Histogram()
    for value in first:
        one.record(value)
        both.record(value)
    for value in second:
        other.record(value)
        both.record(value)
    one.merge(Histogram(other.counts()))
    assert one.counts() == both.counts()
    assert one.total == len(first) + len(second)


def test_latencies_beyond_the_buckets_count_in_the_first_or_last_one() -> None:
    histogram = Histogram()
    histogram.record(0.0)
    histogram.record(1e12)
    assert histogram.total == 2
    assert histogram.percentile(0.5) < 0.002
    assert histogram.percentile(1.0) > 8e6


def test_new_metrics_are_zero() -> None:
    values = DataMetrics().to_dict()
    assert values["total_messages"] == 0
    assert values["average_latency_ms"] == 0
    assert values["latency_p99_ms"] == 0
    assert values["cache_hit_rate"] == 0
    assert values["average_quality_score"] is None


def test_to_dict_has_everything_that_was_counted() -> None:
    now = [100.0]
    metrics = DataMetrics(clock=lambda: now[0])
    for second in range(20):
        now[0] = 100.0 + second
        metrics.increment_messages(3)
    for latency_ms in (1.0, 3.0, 50.0, -2.0):
        metrics.update_latency(latency_ms)
    metrics.increment_errors()
    metrics.record_quality(DataQualityLevel.EXCELLENT, 3)
    metrics.record_quality(DataQualityLevel.INVALID)
    metrics.record_cache(hit=True)
    metrics.record_cache(hit=False)
    metrics.set_buffer_utilization(12.5)
    values = json.loads(metrics.to_json())
    assert values == metrics.to_dict()
    assert values["total_messages"] == metrics.total_messages == 60
    assert values["rates"] == {"1s": 3.0, "10s": 3.0, "60s": 3.0}
    assert values["messages_per_second"] == metrics.messages_per_second == 3.0
    assert values["average_latency_ms"] == metrics.average_latency_ms == 13.5
    assert values["latency_max_ms"] == 50.0
    assert values["latency_p50_ms"] == pytest.approx(1.0, rel=0.006)
    assert values["error_count"] == metrics.error_count == 1
    assert values["average_quality_score"] == metrics.average_quality_score == 0.75
    assert values["quality"]["EXCELLENT"] == 3
    assert values["cache_hit_rate"] == metrics.cache_hit_rate == 0.5
    assert values["buffer_utilization"] == metrics.buffer_utilization == 12.5
    assert values["uptime_s"] == 19.0


@pytest.mark.parametrize("latency_ms", [float("nan"), float("inf")])
def test_a_latency_that_is_not_finite_is_refused(latency_ms: float) -> None:
    with pytest.raises(ValueError, match="a latency must be a finite number"):
        DataMetrics().update_latency(latency_ms)


@pytest.mark.parametrize("kind", [np.int64, np.float64, np.float32, np.uint8])
def test_numbers_of_numpy_count_like_plain_ones(kind: type) -> None:
    metrics, plain = DataMetrics(lambda: 7.0), DataMetrics(lambda: 7.0)
    for one, five in ((metrics, kind(5)), (plain, 5)):
        one.increment_messages(five)
        one.increment_errors(five)
        one.update_latency(five)
        one.update_latencies(np.array([five, five]))  # type: ignore[arg-type]
        one.record_quality(DataQualityLevel.GOOD, five)
        one.record_cache(np.equal(five, 5))
        one.set_buffer_utilization(five)
    assert json.loads(json.dumps(metrics.to_dict())) == plain.to_dict()
    assert metrics.to_json() == plain.to_json()
    assert msgspec.json.encode(metrics.snapshot()) == msgspec.json.encode(plain.snapshot())


@pytest.mark.parametrize("count", [0.5, np.float64(2.5), float("nan"), float("inf")])
def test_a_count_that_is_not_a_whole_number_is_refused(count: float) -> None:
    metrics = DataMetrics()
    with pytest.raises(ValueError, match="a count must be a whole number"):
        metrics.increment_messages(count)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a count must be a whole number"):
        metrics.increment_errors(count)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a count must be a whole number"):
        metrics.record_quality(DataQualityLevel.GOOD, count)  # type: ignore[arg-type]
    assert metrics.total_messages == metrics.error_count == 0
    assert metrics.average_quality_score is None


def test_a_utilisation_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="a utilisation must be a finite number, not nan"):
        DataMetrics().set_buffer_utilization(float("nan"))


def test_a_steady_rate_is_constant_after_the_first_second() -> None:
    now = [0.5]
    metrics = DataMetrics(clock=lambda: now[0])
    assert metrics.messages_per_second == 0
    rates = set()
    for number in range(100 * 65):
        now[0] = 0.5 + (number + 0.5) / 100
        metrics.increment_messages()
        if number >= 100 and number % 7 == 0:
            rates |= set(metrics.snapshot().rates.values())
    assert rates == {100.0}


def test_update_latencies_counts_like_repeated_update_latency() -> None:
    one_by_one, together = DataMetrics(lambda: 7.0), DataMetrics(lambda: 7.0)
    latencies_ms = [1.0, 3.0, 50.0, -2.0]
    for latency_ms in latencies_ms:
        one_by_one.update_latency(latency_ms)
    together.update_latencies(latencies_ms)
    together.update_latencies([])
    assert together.to_dict() == one_by_one.to_dict()
    with pytest.raises(ValueError, match="a latency must be a finite number, not nan"):
        together.update_latencies([1.0, float("nan")])
    assert together.to_dict() == one_by_one.to_dict()


def test_metrics_of_processes_are_summed() -> None:
    now = [0.0]
    parts = []
    for number in (1, 2):
        part = DataMetrics(clock=lambda: now[0])
        part.increment_messages(number * 10)
        part.update_latency(number)
        part.record_quality(DataQualityLevel.GOOD, number)
        part.record_cache(hit=number == 1)
        part.set_buffer_utilization(number)
        parts.append(part)
    now[0] = 10.0
    data = msgspec.msgpack.encode(parts[1].snapshot())
    decoded = msgspec.msgpack.decode(data, type=MetricsSnapshot)
    total = DataMetrics.merged([parts[0], decoded]).to_dict()
    assert total["total_messages"] == 30
    assert total["average_latency_ms"] == 1.5
    assert total["latency_max_ms"] == 2.0
    assert total["quality"]["GOOD"] == 3
    assert total["cache_hit_rate"] == 0.5
    assert total["buffer_utilization"] == 2.0
    assert total["rates"]["10s"] == 3.0


def test_rates_of_processes_of_different_age_are_summed() -> None:
    now = [0.0]
    parts = []
    for second in range(100):
        now[0] = float(second)
        if second in {0, 97}:
            parts.append(DataMetrics(clock=lambda: now[0]))
        for part in parts:
            part.increment_messages(100)
    now[0] = 100.5
    snapshots = [part.snapshot() for part in parts]
    assert [part.rates[10] for part in snapshots] == [100.0, 100.0]
    assert DataMetrics.merged(snapshots).to_dict()["rates"] == {
        "1s": 200.0,
        "10s": 200.0,
        "60s": 200.0,
    }


def test_concurrent_threads_lose_no_count() -> None:
    metrics = DataMetrics()

    def work() -> None:
        for _ in range(2_000):
            metrics.increment_messages()
            metrics.update_latency(1.0)
            metrics.record_quality(DataQualityLevel.GOOD)
            metrics.increment_errors()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    values = metrics.to_dict()
    assert values["total_messages"] == values["error_count"] == 16_000
    assert values["quality"]["GOOD"] == metrics.snapshot().latencies[0][1] == 16_000
