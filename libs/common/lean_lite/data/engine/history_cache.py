"""
HistoryCache: when history may be cached, answered from the cache, and invalidated.

An entry must never differ from what the store would answer. Three rules ensure that:

- Only history of a *tracked* symbol is cached, one whose corrections arrive here. What was cached
  before, by a process that was killed for example, is dropped when tracking starts.
- Only history that is complete, closed and unrevised is cached: it has no gaps, a newer bar than
  its last one was out before the fetch, and no correction of the span arrived since.
- An entry is only used if the store has answered for the same feed, real or simulated, since
  tracking started: engines of other feeds may share the folder.
"""

import asyncio
from datetime import datetime
from weakref import WeakSet

from lean_lite.data.bars import Bars
from lean_lite.data.cache import DataCache
from lean_lite.data.history.query import HistoryQuery
from lean_lite.data.metrics import DataMetrics
from lean_lite.model import Resolution
from lean_lite.model.timestamps import from_ns

# Later than any bar: the year 2116.
END_NS = 2**62


class PendingSpan:
    """Whether a requested span was closed, and whether it is unrevised since."""

    def __init__(self, query: HistoryQuery, newest_ns: int) -> None:
        self._query = query
        # Bars come in order: after a newer bar only late bars follow, which are corrections.
        self.is_closed = query.settled_ns <= newest_ns
        self.is_current = True

    def revise(self, symbol: str, start_ns: int, end_ns: int) -> None:
        """Note a revision of a symbol's bars in a span of time."""
        request = self._query.request
        if symbol == self._query.symbol and start_ns < request.end_ns and request.start_ns < end_ns:
            self.is_current = False


class HistoryCache:
    """
    Cached history of the tracked symbols, invalidated by their corrections.

    Args:
        cache: where entries are stored; without one nothing is cached.
        metrics: counts hits and misses.
    """

    def __init__(self, cache: DataCache | None, metrics: DataMetrics) -> None:
        self._cache = cache
        self._metrics = metrics
        # By tracked symbol: the feeds that the store has answered for, and whether simulated.
        self._sources: dict[str, set[tuple[str, bool]]] = {}
        self._watches = WeakSet[PendingSpan]()

    def track(self, symbol: str) -> None:
        """Start to cache a symbol, whose corrections are passed to `invalidate` from now on."""
        self.untrack(symbol)
        self._sources[symbol] = set()

    def untrack(self, symbol: str) -> None:
        """Stop caching a symbol and drop its entries, whose corrections will not arrive."""
        self._sources.pop(symbol, None)
        self.invalidate(symbol, 0, END_NS)

    def invalidate(self, symbol: str, start_ns: int, end_ns: int) -> None:
        """Drop what is cached of a span, and what is being fetched for the cache."""
        # Watches first: a `put` in another thread then either sees that its bars are revised, or
        # has stored them before and they are dropped below.
        for watch in self._watches:
            watch.revise(symbol, start_ns, end_ns)
        if self._cache is not None:
            self._cache.invalidate(symbol, from_ns(start_ns), from_ns(end_ns))

    def watch(self, query: HistoryQuery, newest_ns: int) -> PendingSpan | None:
        """
        Watch a span from before it is fetched until it is `put`.

        Args:
            query: what is about to be fetched.
            newest_ns: start of the symbol's newest bar, in nanoseconds since 1970 (UTC).

        Returns:
            The watch, or None if nothing of the symbol is cached.
        """
        if self._cache is None or query.symbol not in self._sources:
            return None
        watch = PendingSpan(query, newest_ns)
        self._watches.add(watch)
        return watch

    async def get(self, query: HistoryQuery) -> Bars | None:
        """Return cached history of a tracked symbol; reads the disk in a thread."""
        sources = self._sources.get(query.symbol)
        if self._cache is None or sources is None:
            return None
        bars = None
        if sources:
            bars = await asyncio.to_thread(self._cache.get, *_key(query))
            if bars is not None and _source(bars) not in sources:
                bars = None
        self._metrics.record_cache(bars is not None)
        return bars

    async def put(self, query: HistoryQuery, bars: Bars, watch: PendingSpan | None) -> None:
        """
        Cache history if the rules above allow it; writes the disk in a thread.

        Args:
            query: what was fetched.
            bars: the answer.
            watch: the result of `watch` from before the fetch; None caches nothing.
        """
        if self._cache is None or watch is None or not (watch.is_closed and watch.is_current):
            return
        # The feed of an answer without bars is unknown.
        if bars.gaps or not len(bars):
            return
        self._sources.setdefault(query.symbol, set()).add(_source(bars))
        await asyncio.to_thread(
            self._cache.put, *_key(query), bars, wanted=lambda: watch.is_current
        )


def _key(query: HistoryQuery) -> tuple[str, Resolution, datetime, datetime]:
    """Return the key of a query; longer bars are cached from bucket to bucket."""
    request = query.request
    return query.symbol, query.resolution, from_ns(request.start_ns), from_ns(request.end_ns)


def _source(bars: Bars) -> tuple[str, bool]:
    return bars.block.feed, bars.block.simulated
