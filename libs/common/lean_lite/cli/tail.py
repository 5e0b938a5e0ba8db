"""Follow symbols live and print what comes."""

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

PATIENCE_S = 5.0


class TailStart(msgspec.Struct, tag_field="type", tag="following"):
    """Open what `lean-lite tail --json` prints."""

    symbols: tuple[str, ...]


class TailBar(msgspec.Struct, tag_field="type", tag="bar"):
    """Show one bar as `lean-lite tail --json` prints it."""

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
    """Close what `lean-lite tail --json` prints."""

    delivered: int
    duplicated: int
    refetched: int
    latency_ms: dict[str, float | None]


TailLine = TailStart | TailBar | TailSummary


async def tail(
    config: Config, symbols: Sequence[str], *, as_json: bool, from_start: bool = False
) -> int:
    """Print bars until a signal; return the exit code."""
    async with DataEngine(config) as engine:
        live = await engine.live(*symbols, after={} if from_start else None)
        if as_json:
            _write(msgspec.json.encode(TailStart(live.accepted)).decode())
        tally = DeliveryStats()
        printing = asyncio.create_task(_print(live, tally, as_json=as_json))
        explaining = asyncio.create_task(_explain(engine, tally))
        await _until_signal(printing)
        explaining.cancel()
        await live.stop()
    if as_json:
        summary = TailSummary(tally.delivered, tally.duplicated, live.refetched, tally.latency_ms())
        _write(msgspec.json.encode(summary).decode())
    return 0


async def _print(live: Live, tally: DeliveryStats, *, as_json: bool) -> None:
    async for bar in live:
        latency_ms = tally.add(bar)
        _write(_as_json(bar, latency_ms) if as_json else as_line(bar, latency_ms))


async def _explain(engine: DataEngine, tally: DeliveryStats) -> None:
    """Say on standard error what keeps the first bar from coming, each reason once."""
    told: set[str] = set()
    while True:
        await asyncio.sleep(PATIENCE_S)
        if tally.delivered:
            return
        services = engine.get_metrics()["services"].values()
        reasons = {f"{one['service']}: {why}" for one in services for why in one["failing"]}
        for reason in sorted(reasons - told):
            sys.stderr.write(f"no bar yet: {reason}\n")
        told |= reasons


async def _until_signal(work: asyncio.Task[None]) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait([work, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if work.done():
        work.result()
    work.cancel()


def as_line(bar: LiveBar, latency_ms: float | None) -> str:
    """Return a bar as one line for people."""
    wait = "late" if latency_ms is None else f"{latency_ms:.1f} ms"
    return (
        f"{from_ns(bar.start_ns):%Y-%m-%d %H:%M} UTC  {bar.symbol:<8} "
        f"{bar.open:>12.4f} {bar.high:>12.4f} {bar.low:>12.4f} {bar.close:>12.4f} "
        f"{bar.volume:>14.2f}  {bar.quality.name:<9}  {wait}"
        f"{'  SIMULATED' if bar.simulated else ''}"
    )


def _as_json(bar: LiveBar, latency_ms: float | None) -> str:
    shown = TailBar(
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
    return msgspec.json.encode(shown).decode()


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
