"""
Run the pipeline on this machine, follow symbols in strategy processes, compare the counts.

Each hop counts for itself: bars are published by ingest, graded by validate, stored by the store
and delivered to the strategy processes. The services send their counts with their heartbeats.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time

import msgspec

from lean_lite.bus import connect
from lean_lite.bus.heartbeats import HeartbeatMonitor
from lean_lite.cli.demo.dashboard import Dashboard
from lean_lite.cli.demo.strategy_process import StrategyProcess
from lean_lite.cli.demo.summary import HopCounts, Summary, count_hops, summarize
from lean_lite.config import Config
from lean_lite.errors import ConfigError
from lean_lite.stack import Mode, SimulatorOptions, Stack, default_folder, mode_of

SETTLE_S = 10.0
# Ctrl-C has to stop everything within three seconds.
SETTLE_INTERRUPTED_S = 1.0
HEARTBEAT_S = 0.25
CHECK_S = 0.05


class DemoOptions(msgspec.Struct, frozen=True):
    """
    Options of a run: symbols, duration in seconds (None: until Ctrl-C), strategies, output.

    `with_parent` stops the run when the process that started it has exited.
    """

    symbols: tuple[str, ...]
    seconds: float | None
    strategies: int
    json: bool
    with_parent: bool = False

    def check(self) -> None:
        """Raise ConfigError for a run without time or without strategies."""
        if self.seconds is not None and not self.seconds > 0:
            raise ConfigError("--seconds", f"must be more than 0, not {self.seconds:g}")
        if self.strategies < 1:
            raise ConfigError("--strategies", f"must be 1 or more, not {self.strategies}")


async def demo(config: Config, options: DemoOptions) -> int:
    """Run until the time is up or a signal arrives; returns 0 if nothing was lost or duplicated."""
    options.check()
    started_at = time.monotonic()
    stop_requested = _watch_signals()
    has_keys = bool(config.alpaca.key_id and config.alpaca.secret_key)
    simulated = not has_keys or mode_of(config) == "demo"
    mode: Mode = "demo" if simulated else "live"
    simulator = SimulatorOptions().with_settings(config.stack) if simulated else None
    dashboard = Dashboard(options.symbols, sys.stderr if options.json else sys.stdout)
    dashboard.print_line(_banner(config, simulator))
    config = config.replace(service={"heartbeat_s": HEARTBEAT_S})
    stack = Stack(config, folder=default_folder(config, mode), simulator=simulator)
    starting = asyncio.create_task(stack.start())
    if not await _finish_unless_stopped(starting, stop_requested):
        await stack.stop()
        return 130
    for reason in stack.external_reasons:
        dashboard.print_line(f"no live bars yet: {reason}")
    try:
        summary = await _run(stack, options, dashboard, stop_requested)
    finally:
        await stack.stop()
    summary.wall_s = round(time.monotonic() - started_at, 2)
    summary.simulated = simulated
    if options.json:
        sys.stdout.write(msgspec.json.encode(summary).decode() + "\n")
    else:
        dashboard.print_line(summary.as_text())
    return 1 if summary.lost or summary.duplicated else 0


async def _run(
    stack: Stack, options: DemoOptions, dashboard: Dashboard, stop_requested: asyncio.Event
) -> Summary:
    client_config = stack.role_config("client")
    bus = await connect(client_config.bus, "client", name="demo")
    heartbeats = HeartbeatMonitor()
    await heartbeats.start(bus)
    strategies = [
        StrategyProcess(options.symbols, client_config, dashboard.on_bar if first else None)
        for first in (index == 0 for index in range(options.strategies))
    ]
    try:
        await asyncio.gather(*(strategy.start() for strategy in strategies))
        await _show_until_stopped(options, dashboard, heartbeats, stop_requested)
        limit_s = SETTLE_INTERRUPTED_S if stop_requested.is_set() else SETTLE_S
        counts = await _settle(stack, heartbeats, strategies, limit_s=limit_s)
    finally:
        await asyncio.gather(*(strategy.stop() for strategy in strategies))
        await bus.close()
    return summarize(counts, strategies, dashboard.symbols())


async def _show_until_stopped(
    options: DemoOptions,
    dashboard: Dashboard,
    heartbeats: HeartbeatMonitor,
    stop_requested: asyncio.Event,
) -> None:
    deadline = None if options.seconds is None else time.monotonic() + options.seconds
    parent = os.getppid()
    with dashboard:
        while not stop_requested.is_set() and (deadline is None or time.monotonic() < deadline):
            if options.with_parent and os.getppid() != parent:
                stop_requested.set()
                break
            dashboard.show(heartbeats.states())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(dashboard.interval_s):
                    await stop_requested.wait()


async def _settle(
    stack: Stack,
    heartbeats: HeartbeatMonitor,
    strategies: list[StrategyProcess],
    *,
    limit_s: float,
) -> HopCounts:
    """Stop ingest and wait until every bar that it published has passed all hops."""
    await stack.stop_child("ingest")
    deadline = time.monotonic() + limit_s
    # Counts of heartbeats of different ages may match by chance while bars are still published.
    # Once ingest's last heartbeat is there, with its final count, a match proves that all is done.
    await asyncio.sleep(HEARTBEAT_S)
    while time.monotonic() < deadline:
        counts = count_hops(heartbeats.all())
        delivered = {strategy.delivered for strategy in strategies}
        if counts.published == counts.validated and {counts.stored, *delivered} == {counts.graded}:
            break
        await asyncio.sleep(CHECK_S)
    return count_hops(heartbeats.all())


def _watch_signals() -> asyncio.Event:
    stop_requested = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop_requested.set)
    return stop_requested


async def _finish_unless_stopped(work: asyncio.Task[None], stop_requested: asyncio.Event) -> bool:
    """Return whether the work finished before the signal; it is cancelled otherwise."""
    waiting = asyncio.create_task(stop_requested.wait())
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
        f"SIMULATED DATA: recorded days, replayed at {simulator.speed:g}x. For market data set "
        "APCA_API_KEY_ID and APCA_API_SECRET_KEY, and leave LEAN_LITE_FEED unset."
    )
