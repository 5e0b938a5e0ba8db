"""What a run of the pipeline comes to."""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from lean_lite.cli.demo.strategy_process import StrategyProcess
from lean_lite.protocol.heartbeat import Heartbeat


class Counts(msgspec.Struct):
    """Add up what each hop has counted, in bars."""

    published: int = 0
    graded: int = 0
    quarantined: int = 0
    repeated: int = 0


# Which sample of which service each figure is.
SAMPLES = {
    "published": "lean_lite_ingest_published_total",
    "graded": "lean_lite_validate_graded_total",
    "quarantined": "lean_lite_validate_quarantined_total",
    "repeated": "lean_lite_validate_repeated_total",
}


class SymbolSummary(msgspec.Struct):
    """Say how many bars of a symbol came, and how the last one was."""

    bars: int = 0
    last_start_ns: int = 0
    quality: str = ""


class Summary(msgspec.Struct):
    """
    Report one run, in bars.

    `lost` adds up what went missing between two hops; `duplicated` what a strategy got twice.
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
        """Return the figures as lines for people."""
        hops = " -> ".join(
            f"{name} {getattr(self, name)}" for name in ("published", "graded", "stored")
        )
        latency = ", ".join(f"{name} {value} ms" for name, value in self.latency_ms.items())
        return (
            f"{hops} -> delivered {self.delivered} to {self.strategies} strategies\n"
            f"quarantined {self.quarantined}, repeated {self.repeated}, "
            f"lost {self.lost}, duplicated {self.duplicated}\n"
            f"from the wire to the strategy: {latency}"
        )


def count_hops(heartbeats: Iterable[Heartbeat]) -> Counts:
    """Add up what processes have counted, those that are gone included."""
    counts = Counts()
    for heartbeat in heartbeats:
        for name, sample_name in SAMPLES.items():
            total = sum(sample.value for sample in heartbeat.counted(sample_name))
            setattr(counts, name, getattr(counts, name) + int(total))
    return counts


def summarize(
    counts: Counts,
    stored: int,
    strategies: Sequence[StrategyProcess],
    symbols: dict[str, SymbolSummary],
) -> Summary:
    """Return the report of a run whose strategies have stopped."""
    ends = [strategy.summary for strategy in strategies if strategy.summary is not None]
    delivered = min((strategy.delivered for strategy in strategies), default=0)
    passed = counts.graded + counts.quarantined + counts.repeated
    lost = (
        max(counts.published - passed, 0)
        + max(counts.graded - stored, 0)
        + sum(max(counts.graded - strategy.delivered, 0) for strategy in strategies)
    )
    slowest = max(ends, key=lambda end: end.latency_ms["p99"] or 0.0, default=None)
    return Summary(
        counts.published,
        counts.graded,
        counts.quarantined,
        counts.repeated,
        stored,
        delivered,
        lost,
        sum(end.duplicated for end in ends),
        sum(end.refetched for end in ends),
        slowest.latency_ms if slowest else {"p50": None, "p99": None},
        symbols,
        len(strategies),
    )


def count_stored(folder: Path) -> int:
    """Return how many bars the store's files in a folder hold, revisions included."""
    return sum(_count(path) for path in sorted(folder.glob("store-*.sqlite")))


def _count(path: Path) -> int:
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)
    try:
        (bars,) = connection.execute("SELECT coalesce(sum(bars), 0) FROM journal").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return 0
        raise
    else:
        return int(bars)
    finally:
        connection.close()
