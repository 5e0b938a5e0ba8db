"""SymbolSubscriptions: symbols whose live bars are dispatched to the callbacks."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from weakref import WeakValueDictionary

from lean_lite.bus import Bus
from lean_lite.data.bars import Bars
from lean_lite.data.dispatch.dispatcher import Dispatcher
from lean_lite.data.dispatch.symbol_subscription import SymbolSubscription
from lean_lite.data.engine.feed_registry import FeedRegistry
from lean_lite.data.engine.history_cache import HistoryCache
from lean_lite.data.history.reader import HistoryReader
from lean_lite.data.live import Live
from lean_lite.errors import FeedError
from lean_lite.model.timestamps import to_ns
from lean_lite.tasks import finish

# Quality reports of a symbol reach back a week, also when it was subscribed just now.
GRADES_BACK = timedelta(days=7)

# Opens the live stream of symbols, from the feed of a name if there is one.
OpenSymbols = Callable[[Sequence[str], str | None], Awaitable[Live]]
OpenHistory = Callable[[], HistoryReader]


class SymbolSubscriptions:
    """
    Subscribed symbols, each with its live stream, its grades and its cached history.

    Args:
        feeds: which feed serves a symbol.
        dispatcher: gets the bars.
        history_cache: tracks the symbols, since their corrections arrive.
        open_live: opens the live stream of symbols; called once per subscription.
        open_history: returns a reader of history while the engine is connected.
    """

    def __init__(
        self,
        feeds: FeedRegistry,
        dispatcher: Dispatcher,
        history_cache: HistoryCache,
        open_live: OpenSymbols,
        open_history: OpenHistory,
    ) -> None:
        self._feeds = feeds
        self._dispatcher = dispatcher
        self._history_cache = history_cache
        self._open_live = open_live
        self._open_history = open_history
        self._subscriptions: dict[str, SymbolSubscription] = {}
        # Per symbol, so that it is subscribed once; per feed, so that a slow feed delays only its
        # own symbols. A lock is removed after the last call that uses it.
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    @property
    def symbols(self) -> list[str]:
        """Subscribed symbols, sorted."""
        return sorted(self._subscriptions)

    async def subscribe(self, bus: Bus, symbol: str, feed: str, feed_name: str | None) -> None:
        """
        Subscribe to a symbol; does nothing if it is subscribed from the same feed.

        A call that fails or is cancelled leaves nothing behind.

        Args:
            bus: the connection to use.
            symbol: the symbol.
            feed: name of the user's feed that serves it; empty if ingest does.
            feed_name: name of the feed that the caller has named, if any.

        Raises:
            FeedError: the symbol is subscribed from another feed.
            RequestError: the feed refuses the symbol.
        """
        async with self._lock("symbol", symbol), self._lock("feed", feed):
            subscription = self._subscriptions.get(symbol)
            if subscription is None:
                self._subscriptions[symbol] = await self._start(bus, symbol, feed, feed_name)
            elif subscription.feed != feed:
                message = f"{symbol} is subscribed from another feed: unsubscribe it first"
                raise FeedError(message)

    async def unsubscribe(self, symbol: str) -> bool:
        """Drop a symbol and its waiting bars; False if it was not subscribed."""
        subscription = self._subscriptions.pop(symbol, None)
        if subscription is None:
            return False
        self._forget(symbol)
        await subscription.stop()
        return True

    def queued_seq(self, symbol: str) -> Mapping[str, int]:
        """Return the last GRADED sequence, per lane, that the callbacks may have seen."""
        subscription = self._subscriptions.get(symbol)
        return {} if subscription is None else subscription.queued_seq

    def receives_corrections_of(self, symbol: str, bars: Bars) -> bool:
        """Whether corrections of these bars arrive: ingest serves the symbol from their feed."""
        subscription = self._subscriptions.get(symbol)
        if subscription is None or subscription.feed:
            return False
        return not len(bars) or subscription.accepts_feed(bars.block.feed)

    def _lock(self, kind: str, name: str) -> asyncio.Lock:
        return self._locks.setdefault((kind, name), asyncio.Lock())

    async def _start(
        self, bus: Bus, symbol: str, feed: str, feed_name: str | None
    ) -> SymbolSubscription:
        found = self._feeds.feed_for(symbol, feed_name)
        handle = found if found is not None and found.served_by_ingest else None
        live = await self._open_live((symbol,), feed_name)
        subscription = SymbolSubscription(bus, symbol, live, feed, self._dispatcher.dispatch)
        try:
            since_ns = to_ns(datetime.now(UTC) - GRADES_BACK)
            stored = await self._open_history().read_stored(symbol, feed, since_ns)
            self._history_cache.track(symbol)
            self._dispatcher.add_symbol(symbol, subscription, stored, since_ns, feed=handle)
            await subscription.start()
            subscription.attach_queue(self._dispatcher.queue)
        except BaseException:
            self._forget(symbol)
            await finish(subscription.stop())
            raise
        return subscription

    def _forget(self, symbol: str) -> None:
        self._dispatcher.remove_symbol(symbol)
        self._history_cache.untrack(symbol)
