"""The strategy's side of the bus: feeds, live bars, history."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any, Self

import msgspec

from lean_lite.algorithm.data_models import Resolution, TradeBar
from lean_lite.blocks import concat, empty_block
from lean_lite.bus import Bus, connect
from lean_lite.config import Config
from lean_lite.data.alpaca_feed import AlpacaDataFeed
from lean_lite.data.attachment import Attachment, attach
from lean_lite.data.bars import Bars
from lean_lite.data.callbacks import Callback, Callbacks
from lean_lite.data.following import Following
from lean_lite.data.history import Snapshot, fetch, read_through
from lean_lite.data.live import Live
from lean_lite.data.roster import Roster
from lean_lite.data.span import request_of
from lean_lite.data.supplement import supplement
from lean_lite.errors import FeedError, RequestError, StackError
from lean_lite.feeds import DataFeed, FeedRunner
from lean_lite.market.calendar import calendar_of
from lean_lite.market.symbols import asset_class_of
from lean_lite.messages import HistoryRequest

CLIENT = "client"
FEED = "feed"
HISTORY_S = 60.0

log = logging.getLogger(__name__)


class DataEngine:
    """
    Give a strategy live bars and history.

    Use it as an async context manager, or call `start` and `stop`. Without a `bus.url` it shares
    the stack of this machine, and starts it when there is none.
    """

    def __init__(self, config: Config | None = None) -> None:
        """Take the settings; nothing is connected before `start`."""
        self.config = config or Config()
        self._roster = Roster()
        self._callbacks = Callbacks()
        self._following: dict[str, Following] = {}
        self._bus: Bus | None = None
        self._attachment: Attachment | None = None
        self._resources = AsyncExitStack()
        self._turn = asyncio.Lock()
        self._subscribing = asyncio.Lock()

    @property
    def feeds(self) -> Mapping[str, DataFeed]:
        """Return the added feeds by name, in the order they were added."""
        return self._roster

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    def add_feed(self, feed: DataFeed) -> None:
        """Add a feed before `start`; FeedError afterwards, or when its name is taken."""
        if self._bus is not None:
            message = f"the engine runs already: add the feed {feed.name} before `engine.start()`"
            raise FeedError(message)
        self._roster.add(feed)

    async def start(self) -> None:
        """
        Attach to the stack or the bus, and start the feeds; does nothing when that is done.

        StackError when there is no stack and none can be started, BusUnavailable when the bus is
        silent, FeedError when a feed can't be. Nothing is left behind when it fails.
        """
        async with self._turn:
            if self._bus is not None:
                return
            try:
                attachment = await attach(self.config)
                self._resources.push_async_callback(attachment.leave)
                bus = await connect(attachment.bus, CLIENT, name="strategy")
                self._resources.push_async_callback(bus.close)
                await self._start_feeds(attachment, bus)
            except BaseException:
                await _whole(self._resources.aclose())
                raise
            self._bus, self._attachment = bus, attachment

    async def stop(self) -> None:
        """Stop following symbols, stop the feeds and leave; does nothing when that is done."""
        async with self._turn:
            if self._bus is not None:
                await _whole(self._stop())

    def add_data_callback(self, callback: Callback) -> None:
        """Call `callback(symbol, bar, quality)` for every bar of a subscribed symbol."""
        self._callbacks.add(callback)

    def remove_data_callback(self, callback: Callback) -> None:
        """Call it no more; one that was never added is no error."""
        self._callbacks.remove(callback)

    async def subscribe_symbol(self, symbol: str, feed_name: str | None = None) -> bool:
        """
        Send a symbol's live bars to the callbacks, INVALID ones included.

        RequestError when the feed refuses it; FeedError when no feed serves it, there is none of
        that name, or another one serves the symbol already.
        """
        bus, feed = self._connected(), self._runs(symbol, feed_name)
        async with self._subscribing:
            known = self._following.get(symbol)
            if known is not None:
                if known.feed != feed:
                    message = f"{symbol} is subscribed from another feed: unsubscribe it first"
                    raise FeedError(message)
                return True
            live = await self.live(symbol, feed_name=feed_name)
            following = Following(bus, symbol, live, feed, self._callbacks)
            self._following[symbol] = following
            await following.start()
        return True

    async def unsubscribe_symbol(self, symbol: str) -> bool:
        """Send a symbol's bars to the callbacks no more; False when it was not subscribed."""
        following = self._following.pop(symbol, None)
        if following is None:
            return False
        await following.stop()
        return True

    async def bars(self, *symbols: str) -> AsyncIterator[TradeBar]:
        """Yield the live bars of symbols, each bar once and in order."""
        live = await self.live(*symbols)
        try:
            async for record in live:
                yield record.bar()
        finally:
            await live.stop()

    async def live(
        self,
        *symbols: str,
        after: Mapping[str, int] | None = None,
        feed_name: str | None = None,
    ) -> Live:
        """
        Return the started stream of live records; RequestError when a symbol is refused.

        `after` resumes behind known frames, as in `Live`; `feed_name` names the feed of them all.
        """
        bus = self._connected()
        feeds = {symbol: self._runs(symbol, feed_name) for symbol in symbols}
        live = Live(bus, symbols, after=after, feeds={s: name for s, name in feeds.items() if name})
        try:
            await live.start()
        except BaseException:
            await live.stop()
            raise
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
        *,
        feed_name: str | None = None,
        timeout_s: float = HISTORY_S,
        progress: Callable[[float], None] | None = None,
    ) -> Bars:
        """
        Return the bars that start from `start_date` until before `end_date`.

        What is not stored yet is fetched, within `timeout_s`; `progress` is called with the share
        that is there. `gaps` of the result names what could not be had, `expected` how many bars of
        regular trading there were until now. A user's feed is asked for
        what is not stored of it. RequestError for a resolution that is not stored.
        """
        bus = self._connected()
        request = request_of(symbol, start_date, end_date, resolution)
        name = self._runs(symbol, feed_name)
        if name:
            # What the callbacks have had already must not be missing.
            seen = self._following[symbol].seen_seq if symbol in self._following else {}
            request = msgspec.structs.replace(request, feed=name, min_seq=seen)
            stored = _bars(await fetch(bus, request), request)
            return await supplement(stored, self._roster[name], request, timeout_s=timeout_s)
        snapshot = await read_through(bus, request, wait_s=timeout_s, progress=progress)
        return _bars(snapshot, request)

    async def _start_feeds(self, attachment: Attachment, bus: Bus) -> None:
        for feed in self._roster.values():
            if isinstance(feed, AlpacaDataFeed):
                await feed.serve(self, bus, attachment.facts)
                self._resources.push_async_callback(feed.disconnect)
        own = [feed for feed in self._roster.values() if not isinstance(feed, AlpacaDataFeed)]
        if not own:
            return
        feed_bus = await connect(attachment.feed_bus(), FEED, name="strategy's feeds")
        self._resources.push_async_callback(feed_bus.close)
        for feed in own:
            runner = FeedRunner(feed, feed_bus)
            self._resources.push_async_callback(runner.stop)
            await runner.start()

    async def _stop(self) -> None:
        self._bus = self._attachment = None
        for symbol in list(self._following):
            await self.unsubscribe_symbol(symbol)
        await self._resources.aclose()

    def _runs(self, symbol: str, feed_name: str | None) -> str:
        """Return the name of the user's feed that serves a symbol; empty when ingest does."""
        feed = self._roster.choose(symbol, feed_name)
        return "" if feed is None or isinstance(feed, AlpacaDataFeed) else feed.name

    def _connected(self) -> Bus:
        if self._bus is None:
            message = "the engine is not started: call `await engine.start()` first"
            raise StackError(message)
        if self._attachment is not None:
            self._attachment.check()
        return self._bus


def _bars(snapshot: Snapshot, request: HistoryRequest) -> Bars:
    resolution = Resolution.from_seconds(request.resolution_s)
    blocks = snapshot.blocks or [empty_block(request.feed, resolution=resolution)]
    calendar = calendar_of(asset_class_of(request.symbols[0]))
    end_ns = max(min(request.end_ns, time.time_ns()), request.start_ns)
    expected = calendar.expected(request.start_ns, end_ns, request.resolution_s)
    return Bars(concat(blocks), snapshot.gaps, expected)


async def _whole(work: Coroutine[Any, Any, None]) -> None:
    """Await what must not be cut off; who cancels us meanwhile is obeyed afterwards."""
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    task.result()
