"""The strategy's side of the bus: feeds, live bars, history."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from weakref import WeakSet, WeakValueDictionary

from lean_lite.bus import Bus, connect
from lean_lite.bus.heartbeats import HeartbeatMonitor
from lean_lite.bus.retry import retry_unavailable
from lean_lite.config import Config
from lean_lite.data.bars import Bars
from lean_lite.data.cache import DataCache
from lean_lite.data.dispatch.callbacks import Callback
from lean_lite.data.dispatch.dispatcher import Dispatcher, Pump
from lean_lite.data.dispatch.mailbox import BOUND, Policy
from lean_lite.data.dispatch.symbol_subscription import SymbolSubscription
from lean_lite.data.engine.calls import PendingCalls
from lean_lite.data.engine.connection import StackConnection, open_connection
from lean_lite.data.engine.feed_lifecycle import FeedLifecycle
from lean_lite.data.engine.feed_registry import FeedRegistry
from lean_lite.data.feed import DataFeed
from lean_lite.data.history.client import HistorySnapshot
from lean_lite.data.history.query import HistoryQuery, build_query
from lean_lite.data.history.reader import HISTORY_S, HistoryReader, parse_since
from lean_lite.data.live import Live
from lean_lite.data.live.watermarks import WatermarkHub
from lean_lite.data.reports.quality_report import history_report
from lean_lite.data.streams import BarStream, Slices
from lean_lite.data.streams.bookmarks import BookmarkStore
from lean_lite.data.streams.reader import BarReader, Revisions
from lean_lite.data.streams.slices import GRACE_S
from lean_lite.data.streams.start_positions import StartPositions
from lean_lite.errors import FeedError, RequestError, StackError
from lean_lite.model import Length, Resolution
from lean_lite.model.timestamps import to_ns
from lean_lite.tasks import finish, stop_all

CLIENT = "client"
# What a report on a symbol's quality can look back on as soon as it is subscribed.
LATELY = timedelta(days=7)
ENDING_S = 3.0

log = logging.getLogger(__name__)


class DataEngine:
    """
    Give a strategy live bars and history.

    Use it as an async context manager, or call `start` and `stop`. Without a `bus.url` it shares
    the stack of this machine, and starts it when there is none. A `cache` answers for history of
    subscribed symbols that was asked for before.
    """

    def __init__(self, config: Config | None = None, *, cache: DataCache | None = None) -> None:
        """Take the settings; nothing is connected before `start`."""
        self.config = config or Config()
        self.cache = cache
        self._roster = FeedRegistry()
        self._intake = Dispatcher(cache)
        self._services = HeartbeatMonitor()
        self._following: dict[str, SymbolSubscription] = {}
        self._pump = Pump(self._following, self._intake)
        self._lives: WeakSet[Live] = WeakSet()
        self._bus: Bus | None = None
        self._heads: WatermarkHub | None = None
        self._crew: FeedLifecycle | None = None
        self._attachment: StackConnection | None = None
        self._resources = AsyncExitStack()
        self._turn = asyncio.Lock()
        self._errands = PendingCalls()
        # One for each symbol and feed at work: symbols of one feed come one after the other.
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

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
        """
        Add a feed; FeedError when another one has its name, or it is that of a feed of Alpaca's.

        `start` starts it. One that is added to a running engine starts at once, in the background,
        and whoever asks it for a symbol waits for that. The same feed again is no error.
        """
        self._roster.add(feed)
        if self._crew is not None:
            self._crew.add(feed)

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
                attachment = await open_connection(self.config)
                self._resources.push_async_callback(attachment.close)
                bus = await connect(attachment.bus, CLIENT, name="strategy")
                self._resources.push_async_callback(bus.close)
                await self._services.start(bus)
                self._resources.push_async_callback(self._services.stop)
                crew = FeedLifecycle(self, bus, attachment)
                self._resources.push_async_callback(crew.stop)
                for feed in list(self._roster.values()):
                    await crew.ensure_started(feed)
            except BaseException:
                await finish(self._resources.aclose())
                raise
            self._pump.start()
            self._resources.push_async_callback(self._intake.callbacks.stop)
            self._resources.push_async_callback(self._pump.stop)
            watching = asyncio.create_task(self._watch(attachment), name="watch the attachment")
            self._resources.callback(watching.cancel)
            self._bus, self._heads = bus, WatermarkHub(bus)
            self._attachment, self._crew = attachment, crew

    async def stop(self) -> None:
        """
        End every stream and subscription, stop the feeds and leave.

        Does nothing when that is done.
        """
        async with self._turn:
            if self._bus is not None:
                await finish(self._stop())

    def add_data_callback(
        self, callback: Callback, *, policy: Policy = "block", bound: int = BOUND
    ) -> None:
        """
        Call `callback(symbol, bar, quality)` for every bar of a subscribed symbol.

        It may be sync or async, and is called with one bar after the other. What it is too slow for
        waits, up to `bound` bars: then with `block` everything waits for it, in the store and
        without loss; with `drop_oldest` the oldest goes; with `latest` only the newest bar of
        every symbol ever waits. One that raises is logged and counted. TypeError for what can't be
        called so.
        """
        self._intake.callbacks.add(callback, policy, bound)

    def remove_data_callback(self, callback: Callback) -> None:
        """Call it no more; one that was never added is no error."""
        self._intake.callbacks.remove(callback)

    async def subscribe_symbol(self, symbol: str, feed_name: str | None = None) -> bool:
        """
        Send a symbol's live bars to the callbacks, INVALID ones included.

        RequestError when the feed refuses it; FeedError when no feed serves it, there is none of
        that name, or another one serves the symbol already; StackError when the engine is stopped
        meanwhile.
        """
        bus, feed = self._connected(), self._runs(symbol, feed_name)
        await self._errands.run(self._subscribe(bus, symbol, feed, feed_name))
        return True

    async def unsubscribe_symbol(self, symbol: str) -> bool:
        """Send a symbol's bars to the callbacks no more; False when it was not subscribed."""
        following = self._following.pop(symbol, None)
        if following is None:
            return False
        self._intake.end(symbol)
        await following.stop()
        return True

    def bars(
        self,
        *symbols: str,
        since: datetime | timedelta | None = None,
        revisions: Revisions = "first",
        name: str | None = None,
        feed_name: str | None = None,
    ) -> BarStream:
        """
        Return the bars of symbols as a stream: history since a moment, or that long ago, then live.

        Without `since` it begins with the next bar. A `name` makes it durable: after a restart the
        stream goes on where the reader of that name stopped. See `BarStream` for `revisions`.
        RequestError when a symbol is refused, with the first bar; ValueError without symbols, or
        for a moment to come. A stream that is not read to its end is ended by `async with`, by
        `aclose`, or by the engine.
        """
        bus, past = self._connected(), self._past()
        feeds = self._feeds(symbols, feed_name)

        async def begin(after: Mapping[str, int] | None) -> Live:
            return await retry_unavailable(
                lambda: self.live(*symbols, after=after, feed_name=feed_name)
            )

        def pages(
            some: Iterable[str], start_ns: int, min_seq: Mapping[str, int]
        ) -> AsyncIterator[HistorySnapshot]:
            return past.pages({symbol: feeds[symbol] for symbol in some}, start_ns, min_seq)

        resume = None if name is None else BookmarkStore(bus, name)
        places = StartPositions(symbols, parse_since(since))
        return BarStream(BarReader(begin, pages, places, revisions, resume))

    def slices(self, symbols: Sequence[str], *, grace_s: float = GRACE_S) -> Slices:
        """
        Return the live bars of several symbols and feeds, one slice for each minute.

        A slice comes as soon as every symbol has a bar of its minute or of a later one; a symbol
        that is silent is waited for `grace_s` once another one has come to a later minute.
        ValueError without symbols.
        """
        if isinstance(symbols, str):
            message = f"slices are of a list of symbols: engine.slices([{symbols!r}])"
            raise TypeError(message)
        self._feeds(symbols, None)
        return Slices(lambda: retry_unavailable(lambda: self.live(*symbols)), symbols, grace_s)

    async def live(
        self,
        *symbols: str,
        after: Mapping[str, int] | None = None,
        feed_name: str | None = None,
    ) -> Live:
        """
        Return the started stream of live records; RequestError when a symbol is refused.

        `after` resumes behind known frames, as in `Live`; `feed_name` names the feed of them all.
        StackError when the engine is stopped meanwhile.
        """
        self._connected()
        return await self._errands.run(self._live(symbols, after, feed_name))

    async def get_historical_data(
        self,
        symbol: str,
        start_date: datetime,
        end_date: datetime,
        resolution: Length = Resolution.MINUTE,
        *,
        feed_name: str | None = None,
        timeout_s: float = HISTORY_S,
        progress: Callable[[float], None] | None = None,
    ) -> Bars:
        """
        Return the bars that start from `start_date` until before `end_date`.

        What is not stored yet is fetched, within `timeout_s`; `progress` is called with the share
        that is there. `gaps` of the result names what could not be had, `expected` how many bars of
        regular trading there were until now. A user's feed is asked for what is not stored of it.
        RequestError for a resolution that can't be had.
        """
        self._connected()
        self._runs(symbol, feed_name)
        asked = build_query(symbol, start_date, end_date, resolution)
        work = self._history(asked, feed_name, timeout_s=timeout_s, progress=progress)
        return await self._errands.run(work)

    def get_metrics(self) -> dict[str, Any]:
        """
        Return the figures of this engine, its feeds, its callbacks and the services, as JSON can.

        `engine` has those of `DataMetrics`; `services` has each instance's state and counters.
        """
        return {
            "engine": {
                **self._intake.to_dict(
                    waiting=len(self._pump.queue),
                    symbols=sorted(self._following),
                ),
                "refused": self._refused(),
            },
            "feeds": {
                name: {
                    "connected": feed.get_connection_status().connected,
                    "detail": feed.get_connection_status().detail,
                    **feed.metrics.to_dict(),
                }
                for name, feed in self._roster.items()
            },
            "callbacks": self._intake.callbacks.to_list(),
            "services": self._services.to_dict(),
        }

    def get_data_quality_report(self, symbol: str, hours: float = 24) -> dict[str, Any]:
        """
        Return how good a subscribed symbol's bars of the last hours are, at once.

        `average_quality_score` and what else `quality_report.report_of` names. RequestError when
        the symbol is not subscribed: `quality_report` answers for any symbol.
        """
        return self._intake.report(symbol, hours)

    async def quality_report(
        self,
        symbol: str,
        start_date: datetime,
        end_date: datetime,
        resolution: Length = Resolution.MINUTE,
    ) -> dict[str, Any]:
        """Return how good the stored bars of any symbol and span are; errors as for history."""
        bars = await self.get_historical_data(symbol, start_date, end_date, resolution)
        return history_report(symbol, start_date, end_date, bars)

    async def _history(
        self,
        asked: HistoryQuery,
        feed_name: str | None,
        *,
        timeout_s: float,
        progress: Callable[[float], None] | None,
    ) -> Bars:
        symbol = asked.symbol
        await self._ready(symbol, feed_name)
        past, feed, seen = self._past(), self._runs(symbol, feed_name), self._seen(symbol)
        if feed:
            return await past.read_feed(asked, self._roster[feed], seen, timeout_s=timeout_s)
        known = await self._intake.cached(asked)
        if known is not None and self._hears(symbol, known):
            return known
        heard = self._intake.heard(asked)
        bars = await past.read(asked, seen, timeout_s=timeout_s, progress=progress)
        if self._hears(symbol, bars):
            await self._intake.keep(asked, bars, heard)
        return bars

    async def _subscribe(self, bus: Bus, symbol: str, feed: str, feed_name: str | None) -> None:
        await self._ready(symbol, feed_name)
        async with self._turn_of("symbol", symbol), self._turn_of("feed", feed):
            known = self._following.get(symbol)
            if known is None:
                await self._follow(bus, symbol, feed, feed_name)
            elif known.feed != feed:
                message = f"{symbol} is subscribed from another feed: unsubscribe it first"
                raise FeedError(message)

    def _turn_of(self, kind: str, name: str) -> asyncio.Lock:
        return self._turns.setdefault((kind, name), asyncio.Lock())

    async def _follow(self, bus: Bus, symbol: str, feed: str, feed_name: str | None) -> None:
        chosen = self._roster.feed_for(symbol, feed_name)
        handle = chosen if chosen is not None and chosen.served_by_ingest else None
        live = await self._live((symbol,), None, feed_name)
        following = SymbolSubscription(bus, symbol, live, feed, self._intake.take)
        try:
            since_ns = to_ns(datetime.now(UTC) - LATELY)
            known = await self._past().read_stored(symbol, feed, since_ns)
            self._intake.begin(symbol, handle, known, since_ns)
            await following.start()
            following.attach_queue(self._pump.queue)
        except BaseException:
            self._intake.end(symbol)
            await finish(following.stop())
            raise
        self._following[symbol] = following

    async def _live(
        self, symbols: Sequence[str], after: Mapping[str, int] | None, feed_name: str | None
    ) -> Live:
        for symbol in symbols:
            await self._ready(symbol, feed_name)
        feeds = self._feeds(symbols, feed_name)
        own = {symbol: feed for symbol, feed in feeds.items() if feed}
        live = Live(
            self._connected(),
            symbols,
            after=after,
            feeds=own,
            watermarks=self._heads,
            on_refused=self._on_refused,
        )
        self._lives.add(live)
        try:
            await live.start()
        except BaseException:
            await finish(live.stop())
            raise
        if live.refused:
            await live.stop()
            reasons = "; ".join(f"{symbol}: {why}" for symbol, why in live.refused.items())
            raise RequestError("refused", reasons)
        return live

    async def _stop(self) -> None:
        self._bus = self._heads = self._attachment = self._crew = None
        try:
            # First what is under way: behind our back it would leave things to the next start.
            await self._errands.stop()
            unsubscribing = [self.unsubscribe_symbol(symbol) for symbol in self._following]
            await stop_all([*unsubscribing, *(live.stop() for live in self._lives)], ENDING_S)
        finally:
            await self._resources.aclose()

    async def _watch(self, attachment: StackConnection) -> None:
        """Let streams end with the error when the stack is gone: nobody must wait for ever."""
        error = await attachment.wait_until_lost()
        if error is not None:
            for live in list(self._lives):
                live.fail(error)

    def _refused(self) -> dict[str, str]:
        """Return the symbols of streams at work that their feeds refuse now, and why."""
        streams = [live for live in self._lives if not live.stopped]
        return {symbol: why for live in streams for symbol, why in live.refused.items()}

    def _on_refused(self, _symbol: str, _why: str) -> None:
        self._intake.metrics.increment_errors()

    def _past(self) -> HistoryReader:
        return HistoryReader(self._connected())

    async def _ready(self, symbol: str, feed_name: str | None) -> None:
        """Return when the feed that serves a symbol is at work."""
        feed = self._roster.feed_for(symbol, feed_name)
        if feed is not None and self._crew is not None:
            await self._crew.ensure_started(feed)

    def _hears(self, symbol: str, bars: Bars) -> bool:
        """Say whether bars of the account are of the feed that a subscription follows."""
        following = self._following.get(symbol)
        if following is None or following.feed:
            return False
        return not len(bars) or following.accepts_feed(bars.block.feed)

    def _feeds(self, symbols: Sequence[str], feed_name: str | None) -> dict[str, str]:
        """Return what `_runs` does for each of some symbols."""
        self._connected()
        if not symbols:
            message = "name one symbol at least, as AAPL"
            raise ValueError(message)
        return {symbol: self._runs(symbol, feed_name) for symbol in symbols}

    def _seen(self, symbol: str) -> Mapping[str, int]:
        """Return how far history must have come: the callbacks have had so much already."""
        return self._following[symbol].seen_seq if symbol in self._following else {}

    def _runs(self, symbol: str, feed_name: str | None) -> str:
        """Return the name of the user's feed that serves a symbol; empty when ingest does."""
        feed = self._roster.feed_for(symbol, feed_name)
        return "" if feed is None or feed.served_by_ingest else feed.name

    def _connected(self) -> Bus:
        if self._bus is None:
            message = "the engine is not started: call `await engine.start()` first"
            raise StackError(message)
        if self._attachment is not None:
            self._attachment.check()
        return self._bus
