import pytest

from lean_lite.cli.demo.demo import DemoOptions
from lean_lite.cli.demo.strategy_process import StrategyProcess
from lean_lite.cli.demo.summary import METRICS, HopCounts, count_hops, summarize
from lean_lite.cli.tail import TailSummary
from lean_lite.config import Config
from lean_lite.errors import ConfigError
from lean_lite.protocol.heartbeat import Heartbeat, Sample


@pytest.mark.parametrize(
    ("seconds", "strategies", "message"),
    [
        (-1.0, 1, "--seconds: must be more than 0, not -1"),
        (0.0, 1, "--seconds: must be more than 0, not 0"),
        (float("nan"), 1, "--seconds: must be more than 0, not nan"),
        (1.0, 0, "--strategies: must be 1 or more, not 0"),
    ],
)
def test_a_run_without_time_or_strategies_is_refused(
    seconds: float, strategies: int, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        DemoOptions(("SPY",), seconds, strategies, json=False).check()
    assert str(caught.value) == message


def test_a_run_without_a_time_limit_is_accepted() -> None:
    DemoOptions(("SPY",), None, 1, json=False).check()


def heartbeat(instance: str, **values: float) -> Heartbeat:
    samples = tuple(Sample(METRICS[name], {}, value) for name, value in values.items())
    return Heartbeat("service", instance, 1, 0, 0, samples=samples)


def strategy(delivered: int, duplicated: int = 0, p99: float | None = 1.0) -> StrategyProcess:
    process = StrategyProcess(("SPY",), Config())
    process.delivered = delivered
    process.summary = TailSummary(delivered, duplicated, 0, {"p50": 1.0, "p99": p99})
    return process


def test_counts_are_summed_over_all_processes_of_a_hop() -> None:
    counts = count_hops(
        [
            heartbeat("ingest-1", published=10),
            heartbeat("validate-1", graded=4, quarantined=1),
            heartbeat("validate-2", graded=3, repeated=2),
            heartbeat("store-1", stored=7),
        ]
    )
    assert counts == HopCounts(published=10, graded=7, quarantined=1, repeated=2, stored=7)
    assert counts.validated == counts.published


def test_nothing_is_lost_when_every_hop_has_every_bar() -> None:
    counts = HopCounts(published=10, graded=7, quarantined=1, repeated=2, stored=7)
    summary = summarize(counts, [strategy(7), strategy(8, p99=9.0)], {})
    assert (summary.lost, summary.duplicated) == (0, 0)
    assert (summary.stored, summary.delivered, summary.strategies) == (7, 7, 2)
    assert summary.latency_ms["p99"] == 9.0


def test_bars_missing_at_a_hop_count_as_lost() -> None:
    counts = HopCounts(published=10, graded=9, stored=7)
    summary = summarize(counts, [strategy(9), strategy(6, duplicated=2)], {})
    assert summary.lost == 1 + 2 + 3
    assert (summary.delivered, summary.duplicated) == (6, 2)
