"""
Run the pipeline on this machine, follow some symbols in strategy processes, and add up.

Every figure is counted where it happens: published in ingest, graded in validate, stored in
SQLite, delivered in the strategy processes.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import msgspec

from lean_lite.bus import connect
from lean_lite.bus.heartbeats import HeartbeatMonitor
from lean_lite.cli.demo.dashboard import Dashboard
from lean_lite.cli.demo.strategy_process import StrategyProcess
from lean_lite.cli.demo.summary import Counts, Summary, count_hops, count_stored, summarize
from lean_lite.config import Config
from lean_lite.errors import ConfigError
from lean_lite.stack import Mode, SimulatorOptions, Stack, default_folder, mode_of

SETTLE_S = 10.0
# Ctrl-C has to end everything within three seconds.
SETTLE_INTERRUPTED_S = 1.0
BEAT_S = 0.25
LOOK_S = 0.05


class DemoOptions(msgspec.Struct, frozen=True):
    """
    Say what to follow, for how long, with how many strategies, and how to report.

    `with_parent` ends the run when the process that started it is gone.
    """

    symbols: tuple[str, ...]
    seconds: float | None
    strategies: int
    json: bool
    with_parent: bool = False

    def check(self) -> None:
        """Raise ConfigError for a run that would see nothing."""
        if self.seconds is not None and not self.seconds > 0:
            raise ConfigError("--seconds", f"must be more than 0, not {self.seconds:g}")
        if self.strategies < 1:
            raise ConfigError("--strategies", f"must be 1 or more, not {self.strategies}")


async def demo(config: Config, options: DemoOptions) -> int:
    """Run until the time is over or a signal comes; return 0 when nothing was lost or doubled."""
    options.check()
    began = time.monotonic()
    stopped = _on_signals()
    keyless = not (config.alpaca.key_id and config.alpaca.secret_key)
    simulated = keyless or mode_of(config) == "demo"
    mode: Mode = "demo" if simulated else "live"
    simulator = SimulatorOptions().with_settings(config.stack) if simulated else None
    board = Dashboard(options.symbols, sys.stderr if options.json else sys.stdout)
    board.print_line(_banner(config, simulator))
    config = config.replace(service={"beat_s": BEAT_S})
    stack = Stack(config, folder=default_folder(config, mode), simulator=simulator)
    starting = asyncio.create_task(stack.start())
    if not await _unless(stopped, starting):
        await stack.stop()
        return 130
    for reason in stack.external_reasons:
        board.print_line(f"no live bars yet: {reason}")
    try:
        summary = await _watch(stack, options, board, stopped)
    finally:
        await stack.stop()
    summary.wall_s = round(time.monotonic() - began, 2)
    summary.simulated = simulated
    if options.json:
        sys.stdout.write(msgspec.json.encode(summary).decode() + "\n")
    else:
        board.print_line(summary.as_text())
    return 1 if summary.lost or summary.duplicated else 0


async def _watch(
    stack: Stack, options: DemoOptions, board: Dashboard, stopped: asyncio.Event
) -> Summary:
    store = stack.folder / "store"
    stored_before = count_stored(store)
    as_client = stack.role_config("client")
    bus = await connect(as_client.bus, "client", name="demo")
    heartbeats = HeartbeatMonitor()
    await heartbeats.start(bus)
    strategies = [
        StrategyProcess(options.symbols, as_client, board.on_bar if first else None)
        for first in (index == 0 for index in range(options.strategies))
    ]
    try:
        await asyncio.gather(*(strategy.start() for strategy in strategies))
        await _follow(options, board, heartbeats, stopped)
        counts = await _settle(
            stack, heartbeats, strategies, store, stored_before, interrupted=stopped.is_set()
        )
        stored = count_stored(store) - stored_before
    finally:
        await asyncio.gather(*(strategy.stop() for strategy in strategies))
        await bus.close()
    return summarize(counts, stored, strategies, board.symbols())


async def _follow(
    options: DemoOptions, board: Dashboard, heartbeats: HeartbeatMonitor, stopped: asyncio.Event
) -> None:
    until = None if options.seconds is None else time.monotonic() + options.seconds
    parent = os.getppid()
    with board:
        while not stopped.is_set() and (until is None or time.monotonic() < until):
            if options.with_parent and os.getppid() != parent:
                stopped.set()
                break
            board.show(heartbeats.states())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(board.every_s):
                    await stopped.wait()


async def _settle(
    stack: Stack,
    heartbeats: HeartbeatMonitor,
    strategies: list[StrategyProcess],
    store: Path,
    stored_before: int,
    *,
    interrupted: bool,
) -> Counts:
    """Stop the feed and wait until what it published has come to rest everywhere."""
    await stack.stop_child("ingest")
    until = time.monotonic() + (SETTLE_INTERRUPTED_S if interrupted else SETTLE_S)
    # What the beats said before ingest ended may add up by chance.
    await asyncio.sleep(BEAT_S)
    while time.monotonic() < until:
        counts = count_hops(heartbeats.all())
        stored = count_stored(store) - stored_before
        delivered = {strategy.delivered for strategy in strategies}
        if counts.published == counts.graded + counts.quarantined + counts.repeated and {
            stored,
            *delivered,
        } == {counts.graded}:
            break
        await asyncio.sleep(LOOK_S)
    return count_hops(heartbeats.all())


def _on_signals() -> asyncio.Event:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


async def _unless(stopped: asyncio.Event, work: asyncio.Task[None]) -> bool:
    """Return whether the work was done before the signal."""
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait([work, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if work.done():
        work.result()
        return True
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work
    return False


def _banner(config: Config, simulator: SimulatorOptions | None) -> str:
    if simulator is None:
        return f"Alpaca, feed {config.alpaca.feed}, account key {str(config.alpaca.key_id)[:4]}…"
    return (
        f"SIMULATED DATA: recorded days are replayed at {simulator.speed:g}x. For the market set "
        "APCA_API_KEY_ID and APCA_API_SECRET_KEY, and leave LEAN_LITE_FEED unset."
    )
