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
def test_a_percentile_is_told_within_its_error(values: list[float], share: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    at = min(int(-(-share * len(values) // 1)), len(values)) - 1
    assert histogram.percentile(share) == pytest.approx(sorted(values)[at], rel=0.006)


@given(LATENCIES, LATENCIES)
def test_histograms_add_up(first: list[float], second: list[float]) -> None:
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


def test_what_is_beyond_the_buckets_counts_at_the_ends() -> None:
    histogram = Histogram()
    histogram.record(0.0)
    histogram.record(1e12)
    assert histogram.total == 2
    assert histogram.percentile(0.5) < 0.002
    assert histogram.percentile(1.0) > 8e6


def test_fresh_figures_are_nought() -> None:
    figures = DataMetrics().to_dict()
    assert figures["total_messages"] == 0
    assert figures["average_latency_ms"] == 0
    assert figures["latency_p99_ms"] == 0
    assert figures["cache_hit_rate"] == 0
    assert figures["average_quality_score"] is None


def test_figures_are_of_what_was_told() -> None:
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
    figures = json.loads(metrics.to_json())
    assert figures == metrics.to_dict()
    assert figures["total_messages"] == metrics.total_messages == 60
    assert figures["rates"] == {"1s": 3.0, "10s": 3.0, "60s": 3.0}
    assert figures["messages_per_second"] == metrics.messages_per_second == 3.0
    assert figures["average_latency_ms"] == metrics.average_latency_ms == 13.5
    assert figures["latency_max_ms"] == 50.0
    assert figures["latency_p50_ms"] == pytest.approx(1.0, rel=0.006)
    assert figures["error_count"] == metrics.error_count == 1
    assert figures["average_quality_score"] == metrics.average_quality_score == 0.75
    assert figures["quality"]["EXCELLENT"] == 3
    assert figures["cache_hit_rate"] == metrics.cache_hit_rate == 0.5
    assert figures["buffer_utilization"] == metrics.buffer_utilization == 12.5
    assert figures["uptime_s"] == 19.0


@pytest.mark.parametrize("latency_ms", [float("nan"), float("inf")])
def test_a_latency_that_is_no_number_is_refused(latency_ms: float) -> None:
    with pytest.raises(ValueError, match="a latency is a number of milliseconds"):
        DataMetrics().update_latency(latency_ms)


@pytest.mark.parametrize("kind", [np.int64, np.float64, np.float32, np.uint8])
def test_numbers_of_numpy_are_as_good_as_plain_ones(kind: type) -> None:
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
def test_a_count_that_is_not_whole_is_refused(count: float) -> None:
    metrics = DataMetrics()
    with pytest.raises(ValueError, match="a count is a whole number"):
        metrics.increment_messages(count)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a count is a whole number"):
        metrics.increment_errors(count)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a count is a whole number"):
        metrics.record_quality(DataQualityLevel.GOOD, count)  # type: ignore[arg-type]
    assert metrics.total_messages == metrics.error_count == 0
    assert metrics.average_quality_score is None


def test_a_utilisation_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="utilisation is a percentage, not nan"):
        DataMetrics().set_buffer_utilization(float("nan"))


def test_a_steady_rate_is_the_same_at_any_phase_and_from_the_first_seconds_on() -> None:
    now = [0.5]
    metrics = DataMetrics(clock=lambda: now[0])
    assert metrics.messages_per_second == 0
    seen = set()
    for beat in range(100 * 65):
        now[0] = 0.5 + (beat + 0.5) / 100
        metrics.increment_messages()
        if beat >= 100 and beat % 7 == 0:
            seen |= set(metrics.snapshot().rates.values())
    assert seen == {100.0}


def test_latencies_count_one_by_one_or_together() -> None:
    one_by_one, together = DataMetrics(lambda: 7.0), DataMetrics(lambda: 7.0)
    latencies_ms = [1.0, 3.0, 50.0, -2.0]
    for latency_ms in latencies_ms:
        one_by_one.update_latency(latency_ms)
    together.update_latencies(latencies_ms)
    together.update_latencies([])
    assert together.to_dict() == one_by_one.to_dict()
    with pytest.raises(ValueError, match="a latency is a number of milliseconds, not nan"):
        together.update_latencies([1.0, float("nan")])
    assert together.to_dict() == one_by_one.to_dict()


def test_processes_add_up() -> None:
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
    travelled = msgspec.msgpack.decode(data, type=MetricsSnapshot)
    whole = DataMetrics.merged([parts[0], travelled]).to_dict()
    assert whole["total_messages"] == 30
    assert whole["average_latency_ms"] == 1.5
    assert whole["latency_max_ms"] == 2.0
    assert whole["quality"]["GOOD"] == 3
    assert whole["cache_hit_rate"] == 0.5
    assert whole["buffer_utilization"] == 2.0
    assert whole["rates"]["10s"] == 3.0


def test_rates_of_an_old_process_and_a_young_one_add_up() -> None:
    now = [0.0]
    parts = []
    for second in range(100):
        now[0] = float(second)
        if second in {0, 97}:
            parts.append(DataMetrics(clock=lambda: now[0]))
        for part in parts:
            part.increment_messages(100)
    now[0] = 100.5
    told = [part.snapshot() for part in parts]
    assert [part.rates[10] for part in told] == [100.0, 100.0]
    assert DataMetrics.merged(told).to_dict()["rates"] == {"1s": 200.0, "10s": 200.0, "60s": 200.0}


def test_threads_lose_no_count() -> None:
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
    figures = metrics.to_dict()
    assert figures["total_messages"] == figures["error_count"] == 16_000
    assert figures["quality"]["GOOD"] == metrics.snapshot().latencies[0][1] == 16_000
