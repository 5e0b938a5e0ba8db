"""The verb `tail`: print the live bars of symbols."""

import asyncio
import signal
import sys
from collections.abc import Sequence

import msgspec

from lean_lite.cli.delivery_stats import DeliveryStats
from lean_lite.config import Config
from lean_lite.data import DataEngine, Live
from lean_lite.model.timestamps import from_ns
from lean_lite.protocol.live import LiveBar
from lean_lite.quality import failed_checks

EXPLAIN_INTERVAL_S = 5.0


class TailStart(msgspec.Struct, tag_field="type", tag="following"):
    """First line of `lean-lite tail --json`: the symbols that were accepted."""

    symbols: tuple[str, ...]


class TailBar(msgspec.Struct, tag_field="type", tag="bar"):
    """Line of `lean-lite tail --json` for one bar."""

    symbol: str
    start_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    quality: str
    reasons: list[str]
    late: bool
    simulated: bool
    seq: int
    latency_ms: float | None


class TailSummary(msgspec.Struct, tag_field="type", tag="end"):
    """Last line of `lean-lite tail --json`: the counts."""

    delivered: int
    duplicated: int
    refetched: int
    latency_ms: dict[str, float | None]


TailLine = TailStart | TailBar | TailSummary


async def tail(
    config: Config, symbols: Sequence[str], *, as_json: bool, from_start: bool = False
) -> int:
    """Print bars until a signal; returns the exit code."""
    async with DataEngine(config) as engine:
        live = await engine.live(*symbols, after={} if from_start else None)
        if as_json:
            _write(msgspec.json.encode(TailStart(live.accepted)).decode())
        stats = DeliveryStats()
        printing = asyncio.create_task(_print(live, stats, as_json=as_json))
        explaining = asyncio.create_task(_explain_silence(engine, stats))
        await _run_until_signal(printing)
        explaining.cancel()
        await live.stop()
    if as_json:
        summary = TailSummary(stats.delivered, stats.duplicated, live.refetched, stats.latency_ms())
        _write(msgspec.json.encode(summary).decode())
    return 0


async def _print(live: Live, stats: DeliveryStats, *, as_json: bool) -> None:
    async for bar in live:
        latency_ms = stats.add(bar)
        _write(_as_json(bar, latency_ms) if as_json else as_line(bar, latency_ms))


async def _explain_silence(engine: DataEngine, stats: DeliveryStats) -> None:
    """Print on standard error why there is no first bar yet, each reason once."""
    printed: set[str] = set()
    while True:
        await asyncio.sleep(EXPLAIN_INTERVAL_S)
        if stats.delivered:
            return
        services = engine.get_metrics()["services"].values()
        reasons = {f"{one['service']}: {reason}" for one in services for reason in one["failing"]}
        for reason in sorted(reasons - printed):
            sys.stderr.write(f"no bar yet: {reason}\n")
        printed |= reasons


async def _run_until_signal(work: asyncio.Task[None]) -> None:
    stop_requested = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop_requested.set)
    waiting = asyncio.create_task(stop_requested.wait())
    await asyncio.wait([work, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if work.done():
        work.result()
    work.cancel()


def as_line(bar: LiveBar, latency_ms: float | None) -> str:
    """Return a bar as one line for people."""
    latency = "late" if latency_ms is None else f"{latency_ms:.1f} ms"
    return (
        f"{from_ns(bar.start_ns):%Y-%m-%d %H:%M} UTC  {bar.symbol:<8} "
        f"{bar.open:>12.4f} {bar.high:>12.4f} {bar.low:>12.4f} {bar.close:>12.4f} "
        f"{bar.volume:>14.2f}  {bar.quality.name:<9}  {latency}"
        f"{'  SIMULATED' if bar.simulated else ''}"
    )


def _as_json(bar: LiveBar, latency_ms: float | None) -> str:
    line = TailBar(
        bar.symbol,
        bar.start_ns,
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        bar.volume,
        bar.quality.name,
        [check.name for check in failed_checks(bar.reasons)],
        bar.late,
        bar.simulated,
        bar.seq,
        None if latency_ms is None else round(latency_ms, 3),
    )
    return msgspec.json.encode(line).decode()


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
