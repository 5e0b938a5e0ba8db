"""
The strategy's side of the bus.

This engine attaches to a stack that runs already (`make run`, or the bus that `bus.url` names).
"""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Self

from lean_lite.algorithm.data_models import (
    DataQualityLevel,
    Resolution,
    TradeBar,
    to_ns,
)
from lean_lite.blocks import concat, empty_block
from lean_lite.bus import Bus, connect
from lean_lite.config import BusConfig, Config
from lean_lite.config.section import Secret
from lean_lite.data.bars import Bars
from lean_lite.data.history import fetch
from lean_lite.data.live import Live
from lean_lite.errors import RequestError, StackError
from lean_lite.messages import HistoryRequest
from lean_lite.stack import find_stack

CLIENT = "client"

Callback = Callable[[str, TradeBar, DataQualityLevel], Awaitable[None] | None]

log = logging.getLogger(__name__)


class DataEngine:
    """
    Give a strategy live bars and history.

    Use it as an async context manager, or call `start` and `stop`.
    """

    def __init__(self, config: Config | None = None) -> None:
        """Take the settings; nothing is connected before `start`."""
        self.config = config or Config()
        self._bus: Bus | None = None
        self._callbacks: list[Callback] = []
        self._following: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    async def start(self) -> None:
        """Connect to the bus; StackError when there is none, BusUnavailable when it is silent."""
        if self._bus is None:
            self._bus = await connect(_bus_config(self.config), CLIENT, name="strategy")

    async def stop(self) -> None:
        """Stop following symbols and leave the bus."""
        for task in self._following.values():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._following.clear()
        if self._bus is not None:
            await self._bus.close()
            self._bus = None

    def add_data_callback(self, callback: Callback) -> None:
        """Call `callback(symbol, bar, quality)` for every bar of a subscribed symbol."""
        self._callbacks.append(callback)

    async def subscribe_symbol(self, symbol: str) -> bool:
        """Send a symbol's live bars to the callbacks; RequestError when the feed refuses it."""
        if symbol not in self._following:
            live = await self.live(symbol)
            self._following[symbol] = asyncio.create_task(self._follow(live))
        return True

    async def bars(self, *symbols: str) -> AsyncIterator[TradeBar]:
        """Yield the live bars of symbols, each bar once and in order."""
        live = await self.live(*symbols)
        try:
            async for record in live:
                yield record.bar()
        finally:
            await live.stop()

    async def live(self, *symbols: str, after: Mapping[str, int] | None = None) -> Live:
        """
        Return the started stream of live records; RequestError when a symbol is refused.

        `after` resumes behind known frames, as in `Live`.
        """
        live = Live(self._connected(), symbols, after=after)
        await live.start()
        if live.refused:
            await live.stop()
            reasons = "; ".join(f"{symbol}: {why}" for symbol, why in live.refused.items())
            raise RequestError("refused", reasons)
        return live

    async def get_historical_data(
        self,
        symbol: str,
        start_date: datetime,
        end_date: datetime,
        resolution: Resolution = Resolution.MINUTE,
    ) -> Bars:
        """Return the stored bars that start from `start_date` until before `end_date`."""
        request = HistoryRequest((symbol,), to_ns(start_date), to_ns(end_date), resolution.seconds)
        snapshot = await fetch(self._connected(), request)
        if not snapshot.blocks:
            return Bars(empty_block("", resolution=resolution))
        return Bars(concat(snapshot.blocks))

    async def _follow(self, live: Live) -> None:
        try:
            async for record in live:
                await self._call(record.symbol, record.bar(), record.quality)
        finally:
            await live.stop()

    async def _call(self, symbol: str, bar: TradeBar, quality: DataQualityLevel) -> None:
        for callback in self._callbacks:
            try:
                result = callback(symbol, bar, quality)
                if inspect.isawaitable(result):
                    await result
            except Exception:
                log.exception("the callback %r failed for %s", callback, symbol)

    def _connected(self) -> Bus:
        if self._bus is None:
            message = "the engine is not started: call `await engine.start()` first"
            raise StackError(message)
        return self._bus


def _bus_config(config: Config) -> BusConfig:
    if config.bus.url:
        return config.bus
    found = find_stack(config)
    if found is None:
        message = (
            "no stack runs on this machine: start one with `make run`, or name the bus of "
            "another one in `bus.url` (LEAN_LITE_BUS__URL)"
        )
        raise StackError(message)
    return BusConfig(url=found["bus_url"], user=found["user"], password=Secret(found["password"]))
