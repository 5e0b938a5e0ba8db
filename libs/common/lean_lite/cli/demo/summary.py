"""Counts of each hop, and the summary of a run."""

from collections.abc import Iterable, Sequence

import msgspec

from lean_lite.cli.demo.strategy_process import StrategyProcess
from lean_lite.protocol.heartbeat import Heartbeat


class HopCounts(msgspec.Struct):
    """Bars counted by each hop since its process started."""

    published: int = 0
    graded: int = 0
    quarantined: int = 0
    repeated: int = 0
    stored: int = 0

    @property
    def validated(self) -> int:
        """Bars that validate has processed: graded, quarantined or repeated."""
        return self.graded + self.quarantined + self.repeated


# The metric behind each count, from the heartbeats of its service.
METRICS = {
    "published": "lean_lite_ingest_published_total",
    "graded": "lean_lite_validate_graded_total",
    "quarantined": "lean_lite_validate_quarantined_total",
    "repeated": "lean_lite_validate_repeated_total",
    "stored": "lean_lite_store_bars_total",
}


class SymbolSummary(msgspec.Struct):
    """Number of delivered bars of a symbol, with the start and quality of the last one."""

    bars: int = 0
    last_start_ns: int = 0
    quality: str = ""


class Summary(msgspec.Struct):
    """
    Summary of one run, in bars.

    `lost` sums what is missing between two hops; `duplicated` what a strategy received twice;
    `delivered` is the smallest count of all strategy processes.
    """

    published: int
    graded: int
    quarantined: int
    repeated: int
    stored: int
    delivered: int
    lost: int
    duplicated: int
    refetched: int
    latency_ms: dict[str, float | None]
    symbols: dict[str, SymbolSummary]
    strategies: int
    simulated: bool = False
    wall_s: float = 0.0

    def as_text(self) -> str:
        """Return the summary as lines for people."""
        hops = " -> ".join(
            f"{name} {getattr(self, name)}" for name in ("published", "graded", "stored")
        )
        latency = ", ".join(f"{name} {value} ms" for name, value in self.latency_ms.items())
        strategies = "1 strategy" if self.strategies == 1 else f"{self.strategies} strategies"
        return (
            f"{hops} -> delivered {self.delivered} to {strategies}\n"
            f"quarantined {self.quarantined}, repeated {self.repeated}, "
            f"lost {self.lost}, duplicated {self.duplicated}\n"
            f"latency from the feed to the strategy: {latency}"
        )


def count_hops(heartbeats: Iterable[Heartbeat]) -> HopCounts:
    """Sum the counts of all processes, also of those that have exited."""
    counts = HopCounts()
    for heartbeat in heartbeats:
        for name, metric in METRICS.items():
            total = sum(sample.value for sample in heartbeat.counted(metric))
            setattr(counts, name, getattr(counts, name) + int(total))
    return counts


def summarize(
    counts: HopCounts, strategies: Sequence[StrategyProcess], symbols: dict[str, SymbolSummary]
) -> Summary:
    """Return the summary of a run whose strategies have stopped."""
    ends = [strategy.summary for strategy in strategies if strategy.summary is not None]
    delivered = min((strategy.delivered for strategy in strategies), default=0)
    lost = (
        max(counts.published - counts.validated, 0)
        + max(counts.graded - counts.stored, 0)
        + sum(max(counts.graded - strategy.delivered, 0) for strategy in strategies)
    )
    slowest = max(ends, key=lambda end: end.latency_ms["p99"] or 0.0, default=None)
    return Summary(
        counts.published,
        counts.graded,
        counts.quarantined,
        counts.repeated,
        counts.stored,
        delivered,
        lost,
        sum(end.duplicated for end in ends),
        sum(end.refetched for end in ends),
        slowest.latency_ms if slowest else {"p50": None, "p99": None},
        symbols,
        len(strategies),
    )
