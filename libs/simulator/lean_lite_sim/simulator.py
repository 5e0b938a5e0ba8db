"""Simulator: a market, a clock and two servers."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Self

from lean_lite_sim.faults import FaultHistory, Faults, parse_faults
from lean_lite_sim.market.bar import Bar
from lean_lite_sim.market.clock import FeedClock
from lean_lite_sim.market.market import Market, is_well_formed
from lean_lite_sim.market.synthetic import synthetic_symbol
from lean_lite_sim.market.timestamps import SECOND_NS, parse_instant
from lean_lite_sim.market.trading_days import first_incomplete_day
from lean_lite_sim.protocol.endpoints import ENDPOINTS
from lean_lite_sim.rest.auth import RequestGuard
from lean_lite_sim.rest.control_routes import ControlRoutes
from lean_lite_sim.rest.market_routes import MarketRoutes
from lean_lite_sim.rest.pages import BarPages
from lean_lite_sim.rest.server import RestServer
from lean_lite_sim.settings import SimulatorSettings
from lean_lite_sim.stats import Stats
from lean_lite_sim.stream.connection import ConnectionContext
from lean_lite_sim.stream.scheduler import Scheduler
from lean_lite_sim.stream.server import StreamServer
from lean_lite_sim.timeline import Timeline

_LAST_NS = 2**63 - 1


class Simulator:
    """
    An Alpaca-compatible data server; use it as an asynchronous context manager.

    Raises ValueError for an invalid start or the invalid name of a stock, OSError for a port in
    use.
    """

    def __init__(self, settings: SimulatorSettings | None = None) -> None:
        self.settings = settings or SimulatorSettings()
        settings = self.settings
        self._market = Market(
            settings.today or first_incomplete_day(datetime.now(UTC)),
            synthetic=_synthetic(settings),
            seed=settings.seed,
        )
        self._faults = FaultHistory(settings.faults)
        self._stats = Stats(ENDPOINTS)
        self._delay_ns = round(settings.bar_delay_feed_s * SECOND_NS)
        self._timeline = Timeline(self._market, self._faults, self._delay_ns)
        self.clock = self._make_clock()
        self._context = ConnectionContext(settings, self.clock, self._faults, self._stats)
        self._stream = StreamServer(self._context)
        self._rest = self._make_rest()
        self._sending: asyncio.Task[None] | None = None
        self.rest_url = ""
        self.stream_url = ""

    @property
    def stats(self) -> dict[str, object]:
        """The counters, as in `/sim/stats`."""
        return self._stats.snapshot()

    def recording(self, symbol: str) -> Sequence[Bar]:
        """Return all bars of a symbol on their new days; none of an unknown symbol."""
        return self._market.bars(symbol, 0, _LAST_NS)

    def arm(self, changes: Mapping[str, object]) -> Faults:
        """
        Arm faults by name, in addition to those that are armed, and return all standing ones.

        Raises ValueError for an unknown name or an invalid value.
        """
        faults, connection_fault = parse_faults(self._faults.latest, changes)
        self._faults.change(faults, self.clock.now_ns())
        if "auth_fail" in changes:
            self._context.auth_failures_left = faults.auth_fail
        self._stream.apply_fault(connection_fault)
        return faults

    def clear_faults(self) -> Faults:
        """Clear all standing faults."""
        self._faults.change(Faults(), self.clock.now_ns())
        self._context.auth_failures_left = 0
        return self._faults.latest

    async def start(self) -> None:
        """Listen on both ports, and start the clock unless it is held."""
        self._market.prepare_day(self.clock.start_ns)
        stream_port = await self._stream.start()
        try:
            rest_port = await self._rest.start()
        except OSError:
            await self._stream.stop()
            raise
        self.stream_url = f"ws://{self.settings.host}:{stream_port}"
        self.rest_url = f"http://{self.settings.host}:{rest_port}"
        if not self.settings.hold:
            self.clock.release()
        scheduler = Scheduler(self.clock, self._timeline, self._stream, self._delay_ns)
        self._sending = asyncio.create_task(scheduler.run())

    async def stop(self) -> None:
        """Close every connection and both ports."""
        if self._sending is not None:
            self._sending.cancel()
            with suppress(asyncio.CancelledError):
                await self._sending
        await asyncio.gather(self._stream.stop(), self._rest.stop())

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    def _make_clock(self) -> FeedClock:
        start = self.settings.start
        opens = self._market.opens()
        named = {"open": opens[0], "last": opens[-1]}
        start_ns = named[start] if start in named else parse_instant(start)
        return FeedClock(None, start_ns, self.settings.speed, wall_clock=time.time_ns)

    def _make_rest(self) -> RestServer:
        pages = BarPages(self._market, self._timeline)
        guard = RequestGuard(self.settings, self._faults)
        market = MarketRoutes(self.settings, self.clock, pages, guard, self._stats)
        control = ControlRoutes(
            self.clock,
            self._stats,
            symbols=self._market.symbols,
            recording=self.recording,
            faults=self._faults,
            arm=self.arm,
            clear=self.clear_faults,
        )
        routes = [*market.routes(), *control.routes()]
        return RestServer(routes, self.settings.host, self.settings.port)


def _synthetic(settings: SimulatorSettings) -> Sequence[str]:
    for symbol in settings.also:
        if not is_well_formed(symbol, "stocks"):
            message = f"invalid symbol of a stock {symbol!r}: expected e.g. MSFT or BRK.B"
            raise ValueError(message)
    return [*map(synthetic_symbol, range(settings.symbols)), *settings.also]
