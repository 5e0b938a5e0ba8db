"""DataEngine: the public methods, and what start and stop do."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any, Self
from weakref import WeakSet

from lean_lite.bus import Bus, connect
from lean_lite.bus.heartbeats import HeartbeatMonitor
from lean_lite.bus.retry import retry_unavailable
from lean_lite.config import Config
from lean_lite.data.bars import Bars
from lean_lite.data.cache import DataCache
from lean_lite.data.dispatch.callbacks import Callback
from lean_lite.data.dispatch.dispatcher import Dispatcher
from lean_lite.data.dispatch.mailbox import BOUND, Policy
from lean_lite.data.engine.calls import PendingCalls
from lean_lite.data.engine.connection import StackConnection, open_connection
from lean_lite.data.engine.feed_lifecycle import FeedLifecycle
from lean_lite.data.engine.feed_registry import FeedRegistry
from lean_lite.data.engine.history_cache import HistoryCache
from lean_lite.data.engine.subscriptions import SymbolSubscriptions
from lean_lite.data.feed import DataFeed
from lean_lite.data.history.client import HistorySnapshot
from lean_lite.data.history.query import HistoryQuery, build_query
from lean_lite.data.history.reader import HISTORY_S, HistoryReader, parse_since
from lean_lite.data.live import Live
from lean_lite.data.live.watermarks import WatermarkHub
from lean_lite.data.metrics import DataMetrics
from lean_lite.data.reports.quality_report import history_report
from lean_lite.data.streams import BarStream, Slices
from lean_lite.data.streams.bookmarks import BookmarkStore
from lean_lite.data.streams.reader import BarReader, Revisions
from lean_lite.data.streams.slices import GRACE_S
from lean_lite.data.streams.start_positions import StartPositions
from lean_lite.errors import RequestError, StackError
from lean_lite.model import Length, Resolution
from lean_lite.tasks import finish, stop_all

ROLE = "client"
# Streams and subscriptions stop concurrently: an unavailable bus costs this once, not per symbol.
STOP_S = 3.0


class DataEngine:
    """
    Live bars and history for a strategy, from any number of feeds.

    Use it as an async context manager, or call `start` and `stop`. Without `bus.url` it shares the
    stack of this machine and starts it if there is none. It may be started again after a stop, in
    another event loop too; callbacks and feeds stay. Not thread-safe: call it from one event loop.

    Calls in progress raise `StackError` when the engine stops. A call that is cancelled leaves
    nothing behind.

    Args:
        config: the settings; by default those of the environment.
        cache: answers repeated requests for history of subscribed symbols.
    """

    def __init__(self, config: Config | None = None, *, cache: DataCache | None = None) -> None:
        self.config = config or Config()
        self.cache = cache
        self._metrics = DataMetrics()
        self._feeds = FeedRegistry()
        self._history_cache = HistoryCache(cache, self._metrics)
        self._dispatcher = Dispatcher(self._metrics, self._history_cache.invalidate)
        self._subscriptions = SymbolSubscriptions(
            self._feeds,
            self._dispatcher,
            self._history_cache,
            self._open_live,
            self._history_reader,
        )
        self._services = HeartbeatMonitor()
        self._calls = PendingCalls()
        # Weak, so that stopped streams disappear with their readers.
        self._streams: WeakSet[Live] = WeakSet()
        self._lock = asyncio.Lock()
        # Set while the engine is started.
        self._bus: Bus | None = None
        self._connection: StackConnection | None = None
        self._watermarks: WatermarkHub | None = None
        self._feed_lifecycle: FeedLifecycle | None = None
        self._resources = AsyncExitStack()

    @property
    def feeds(self) -> Mapping[str, DataFeed]:
        """Added feeds by name, in the order they were added."""
        return self._feeds

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    def add_feed(self, feed: DataFeed) -> None:
        """
        Add a feed, which `start` starts; a running engine starts it in the background.

        A call that needs the feed waits until it has started. Adding the same feed again does
        nothing.

        Args:
            feed: the feed.

        Raises:
            FeedError: another feed has its name, or the name is that of a feed of Alpaca's.
        """
        self._feeds.add(feed)
        if self._feed_lifecycle is not None:
            self._feed_lifecycle.add(feed)

    async def start(self) -> None:
        """
        Connect to the stack or the bus and start the feeds; does nothing if it is started.

        A start that fails or is cancelled leaves nothing behind.

        Raises:
            ConfigError: a setting is invalid or missing.
            StackError: there is no stack and none can be started.
            BusUnavailable: the bus does not answer.
            FeedError: a feed can't be started.
        """
        async with self._lock:
            if self._bus is not None:
                return
            try:
                connection = await open_connection(self.config)
                self._resources.push_async_callback(connection.close)
                bus = await connect(connection.bus, ROLE, name="strategy")
                self._resources.push_async_callback(bus.close)
                await self._services.start(bus)
                self._resources.push_async_callback(self._services.stop)
                feed_lifecycle = FeedLifecycle(self, bus, connection)
                self._resources.push_async_callback(feed_lifecycle.stop)
                for feed in list(self._feeds.values()):
                    await feed_lifecycle.ensure_started(feed)
            except BaseException:
                await finish(self._resources.aclose())
                raise
            self._dispatcher.start()
            self._resources.push_async_callback(self._dispatcher.stop)
            monitor = asyncio.create_task(self._monitor(connection), name="monitor the stack")
            self._resources.callback(monitor.cancel)
            self._bus, self._watermarks = bus, WatermarkHub(bus)
            self._connection, self._feed_lifecycle = connection, feed_lifecycle

    async def stop(self) -> None:
        """
        Stop streams, subscriptions and feeds, then disconnect; does nothing if it is stopped.

        Calls in progress raise `StackError`. If this call is cancelled, the cancellation is raised
        after the stop is finished.
        """
        async with self._lock:
            if self._bus is not None:
                await finish(self._stop())

    def add_data_callback(
        self, callback: Callback, *, policy: Policy = "block", bound: int = BOUND
    ) -> None:
        """
        Call a function for every bar of the subscribed symbols.

        The function is called with one bar after the other, those of a symbol in order; INVALID
        bars and corrections are calls as well. A function that raises is logged, counted, and
        called with the next bar. Every function has its own queue, so that one does not delay
        another unless its policy is `block`.

        Args:
            callback: called as `callback(symbol, bar, quality)`; sync or async.
            policy: what happens when `bound` updates wait. `block`: everything waits for the
                callback; the rest stays in the store and nothing is lost. `drop_oldest`: the
                oldest update is dropped and counted. `latest`: only the newest bar of each symbol
                ever waits.
            bound: number of updates that may wait, at least 1; with `latest`, number of symbols.

        Raises:
            TypeError: the function can't be called with these three arguments.
            ValueError: the policy or the bound is invalid.
        """
        self._dispatcher.callbacks.add(callback, policy, bound)

    def remove_data_callback(self, callback: Callback) -> None:
        """
        Stop calling a function; one that was not added is ignored.

        A call in progress is finished. Updates that wait for the function are dropped.

        Args:
            callback: the function; if it was added several times, one of them is removed.
        """
        self._dispatcher.callbacks.remove(callback)

    async def subscribe_symbol(self, symbol: str, feed_name: str | None = None) -> bool:
        """
        Send a symbol's live bars to the callbacks, INVALID ones included.

        Does nothing if the symbol is subscribed from the same feed. Callbacks get the bars of a
        symbol once each and in order; INVALID ones as they arrive.

        Args:
            symbol: the symbol, for example AAPL, BRK.B or BTC/USD.
            feed_name: name of the feed to use; by default the one that serves the asset class.

        Returns:
            True.

        Raises:
            RequestError: the symbol is invalid, or its feed refuses it.
            FeedError: no feed serves the symbol, there is none of that name, or the symbol is
                subscribed from another feed.
            BusUnavailable: the store or the feed does not answer.
            StackError: the engine is not started, or was stopped during the call.
        """
        bus, feed = self._connected_bus(), self._user_feed(symbol, feed_name)
        await self._calls.run(self._subscribe(bus, symbol, feed, feed_name))
        return True

    async def unsubscribe_symbol(self, symbol: str) -> bool:
        """
        Stop sending a symbol's bars to the callbacks; waiting bars are dropped.

        Args:
            symbol: the symbol.

        Returns:
            Whether the symbol was subscribed.
        """
        return await self._subscriptions.unsubscribe(symbol)

    def bars(
        self,
        *symbols: str,
        since: datetime | timedelta | None = None,
        revisions: Revisions = "first",
        name: str | None = None,
        feed_name: str | None = None,
    ) -> BarStream:
        """
        Return a stream of bars: history first, then live, without gap or duplicate.

        Nothing is requested before the first bar is. The stream is closed by `async with`, by
        `aclose`, by the engine's stop, or when it is garbage-collected.

        Args:
            symbols: at least one symbol.
            since: where history starts, as a time (naive ones are local) or as a duration before
                now; by default the stream starts with the next live bar.
            revisions: `first`, `final` or `all`: how corrections are delivered, see `BarStream`.
            name: makes the stream durable: after a restart the stream of that name resumes
                after the last bar that was processed. Up to 64 letters, digits, `_` and `-`.
            feed_name: name of the feed of all symbols; by default chosen by asset class.

        Returns:
            The stream. Its first bar raises RequestError if a symbol is refused.

        Raises:
            ValueError: there is no symbol, `since` is in the future, or `revisions` or `name` is
                invalid.
            RequestError: a symbol is invalid.
            FeedError: no feed serves a symbol, or there is none of that name.
            StackError: the engine is not started.
        """
        bus, history = self._connected_bus(), self._history_reader()
        feeds = self._user_feeds(symbols, feed_name)

        async def open_live(after: Mapping[str, int] | None) -> Live:
            return await retry_unavailable(
                lambda: self.live(*symbols, after=after, feed_name=feed_name)
            )

        def read_pages(
            some: Iterable[str], start_ns: int, min_seq: Mapping[str, int]
        ) -> AsyncIterator[HistorySnapshot]:
            return history.pages({symbol: feeds[symbol] for symbol in some}, start_ns, min_seq)

        bookmarks = None if name is None else BookmarkStore(bus, name)
        positions = StartPositions(symbols, parse_since(since))
        return BarStream(BarReader(open_live, read_pages, positions, revisions, bookmarks))

    def slices(self, symbols: Sequence[str], *, grace_s: float = GRACE_S) -> Slices:
        """
        Return a stream of time slices: the live bars of several symbols, minute by minute.

        A slice is yielded as soon as every symbol has a bar of its minute or of a later one. The
        symbols may be of several feeds.

        Args:
            symbols: list of at least one symbol.
            grace_s: how long a silent symbol is waited for, in seconds, once another symbol has
                a bar of a later minute; then it is named in `missing`.

        Returns:
            The stream. Its first slice raises RequestError if a symbol is refused.

        Raises:
            TypeError: `symbols` is a text instead of a list.
            ValueError: there is no symbol.
            RequestError: a symbol is invalid.
            FeedError: no feed serves a symbol.
            StackError: the engine is not started.
        """
        if isinstance(symbols, str):
            message = f"slices are of a list of symbols: engine.slices([{symbols!r}])"
            raise TypeError(message)
        self._user_feeds(symbols, None)
        return Slices(lambda: retry_unavailable(lambda: self.live(*symbols)), symbols, grace_s)

    async def live(
        self,
        *symbols: str,
        after: Mapping[str, int] | None = None,
        feed_name: str | None = None,
    ) -> Live:
        """
        Return a started stream of live records, every version of each bar in the order of the bus.

        Args:
            symbols: at least one symbol.
            after: GRADED sequence by lane after which the stream resumes: `Live.done` of an
                earlier stream. By default it starts with the next record.
            feed_name: name of the feed of all symbols; by default chosen by asset class.

        Returns:
            The stream, to be stopped by `async with` or `stop`.

        Raises:
            RequestError: a symbol is invalid, or its feed refuses it.
            FeedError: no feed serves a symbol, or there is none of that name.
            ValueError: there is no symbol.
            BusUnavailable: the store or a feed does not answer.
            StackError: the engine is not started, or was stopped during the call.
        """
        self._connected_bus()
        return await self._calls.run(self._open_live(symbols, feed_name, after))

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
        Return the bars that start in a span, fetching what is not stored yet.

        Args:
            symbol: the symbol.
            start_date: start of the span, inclusive; naive times are local.
            end_date: end of the span, exclusive.
            resolution: whole minutes up to a day, or whole days; as `Resolution`, text ("5min")
                or timedelta. Longer bars than those stored are folded from whole buckets that
                start in the span.
            feed_name: name of the feed to use; by default the one that serves the asset class.
            timeout_s: how long missing bars are fetched, in seconds.
            progress: called with the share of the span that is available, 0 to 1.

        Returns:
            n bars in order of start; prices and volume as float64 columns of shape (n,). `gaps`
            names what could not be fetched, `expected` is the number of bars in regular sessions
            in the span until now. Every bar that a callback was called with is included.

        Raises:
            RequestError: the symbol or the resolution is invalid, `end_date` is before
                `start_date`, or the answer would have too many rows.
            FeedError: no feed serves the symbol, or there is none of that name.
            BusUnavailable: the store does not answer.
            StackError: the engine is not started, or was stopped during the call.
        """
        self._connected_bus()
        self._user_feed(symbol, feed_name)
        query = build_query(symbol, start_date, end_date, resolution)
        work = self._read_history(query, feed_name, timeout_s=timeout_s, progress=progress)
        return await self._calls.run(work)

    def get_metrics(self) -> dict[str, Any]:
        """
        Return metrics of this engine and what it knows of the services.

        Returns:
            Values that JSON can carry: `engine` as `DataMetrics.to_dict` (latencies in
            milliseconds), with `waiting` bars, subscribed `symbols` and `refused` ones; `feeds`
            and `callbacks`, each with its own; `services` with state and counters of every
            process that publishes heartbeats.
        """
        return {
            "engine": {
                **self._dispatcher.to_dict(self._subscriptions.symbols),
                "refused": self._refused(),
            },
            "feeds": {
                name: {
                    "connected": feed.get_connection_status().connected,
                    "detail": feed.get_connection_status().detail,
                    **feed.metrics.to_dict(),
                }
                for name, feed in self._feeds.items()
            },
            "callbacks": self._dispatcher.callbacks.to_list(),
            "services": self._services.to_dict(),
        }

    def get_data_quality_report(self, symbol: str, hours: float = 24) -> dict[str, Any]:
        """
        Return the quality of a subscribed symbol's bars of the last hours, without a request.

        Args:
            symbol: a subscribed symbol.
            hours: length of the span that ends now; a week is remembered at most.

        Returns:
            The report, see `lean_lite.data.reports.quality_report.build_report`.

        Raises:
            RequestError: the symbol is not subscribed; `quality_report` serves any symbol.
            ValueError: `hours` is not above 0, or not finite.
        """
        return self._dispatcher.report(symbol, hours)

    async def quality_report(
        self,
        symbol: str,
        start_date: datetime,
        end_date: datetime,
        resolution: Length = Resolution.MINUTE,
    ) -> dict[str, Any]:
        """
        Return the quality of the stored bars of any symbol and span.

        Args:
            symbol: the symbol.
            start_date: start of the span, inclusive; naive times are local.
            end_date: end of the span, exclusive.
            resolution: as in `get_historical_data`, whose errors this raises.

        Returns:
            The report, see `lean_lite.data.reports.quality_report.build_report`. INVALID bars
            are in no history: their number is None.
        """
        bars = await self.get_historical_data(symbol, start_date, end_date, resolution)
        return history_report(symbol, start_date, end_date, bars)

    async def _subscribe(self, bus: Bus, symbol: str, feed: str, feed_name: str | None) -> None:
        await self._ensure_started(symbol, feed_name)
        await self._subscriptions.subscribe(bus, symbol, feed, feed_name)

    async def _read_history(
        self,
        query: HistoryQuery,
        feed_name: str | None,
        *,
        timeout_s: float,
        progress: Callable[[float], None] | None,
    ) -> Bars:
        symbol = query.symbol
        await self._ensure_started(symbol, feed_name)
        reader, feed = self._history_reader(), self._user_feed(symbol, feed_name)
        # The store may be behind the bus: what the callbacks have seen must be in the answer.
        min_seq = self._subscriptions.queued_seq(symbol)
        if feed:
            return await reader.read_feed(query, self._feeds[feed], min_seq, timeout_s=timeout_s)
        cached = await self._history_cache.get(query)
        if cached is not None and self._subscriptions.receives_corrections_of(symbol, cached):
            return cached
        watch = self._history_cache.watch(query, self._dispatcher.newest_ns(symbol))
        bars = await reader.read(query, min_seq, timeout_s=timeout_s, progress=progress)
        if self._subscriptions.receives_corrections_of(symbol, bars):
            await self._history_cache.put(query, bars, watch)
        return bars

    async def _open_live(
        self,
        symbols: Sequence[str],
        feed_name: str | None,
        after: Mapping[str, int] | None = None,
    ) -> Live:
        for symbol in symbols:
            await self._ensure_started(symbol, feed_name)
        feeds = self._user_feeds(symbols, feed_name)
        live = Live(
            self._connected_bus(),
            symbols,
            after=after,
            feeds={symbol: feed for symbol, feed in feeds.items() if feed},
            watermarks=self._watermarks,
            on_refused=self._on_refused,
        )
        self._streams.add(live)
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
        self._bus = self._watermarks = self._connection = self._feed_lifecycle = None
        try:
            # Calls first: one that continued during the stop could leave an open stream.
            await self._calls.stop()
            unsubscribing = map(self._subscriptions.unsubscribe, self._subscriptions.symbols)
            await stop_all([*unsubscribing, *(live.stop() for live in self._streams)], STOP_S)
        finally:
            await self._resources.aclose()

    async def _monitor(self, connection: StackConnection) -> None:
        """Fail all streams when the stack is lost: otherwise their readers would wait forever."""
        error = await connection.wait_until_lost()
        if error is not None:
            for live in list(self._streams):
                live.fail(error)

    def _refused(self) -> dict[str, str]:
        """Return the symbols of running streams that their feeds refuse now, and why."""
        streams = [live for live in self._streams if not live.stopped]
        return {symbol: why for live in streams for symbol, why in live.refused.items()}

    def _on_refused(self, _symbol: str, _why: str) -> None:
        self._metrics.increment_errors()

    async def _ensure_started(self, symbol: str, feed_name: str | None) -> None:
        """Wait until the feed that serves a symbol is started."""
        feed = self._feeds.feed_for(symbol, feed_name)
        if feed is not None and self._feed_lifecycle is not None:
            await self._feed_lifecycle.ensure_started(feed)

    def _user_feed(self, symbol: str, feed_name: str | None) -> str:
        """Return the name of the user's feed that serves a symbol; empty if ingest does."""
        feed = self._feeds.feed_for(symbol, feed_name)
        return "" if feed is None or feed.served_by_ingest else feed.name

    def _user_feeds(self, symbols: Sequence[str], feed_name: str | None) -> dict[str, str]:
        """Return `_user_feed` by symbol."""
        self._connected_bus()
        if not symbols:
            message = "name one symbol at least, as AAPL"
            raise ValueError(message)
        return {symbol: self._user_feed(symbol, feed_name) for symbol in symbols}

    def _history_reader(self) -> HistoryReader:
        return HistoryReader(self._connected_bus())

    def _connected_bus(self) -> Bus:
        """Return the bus; StackError if the engine is not started or its stack is lost."""
        if self._bus is None:
            message = "the engine is not started: call `await engine.start()` first"
            raise StackError(message)
        if self._connection is not None:
            self._connection.check()
        return self._bus
