"""
HistoryReader: history from the store, through the store from ingest, or from a user's feed.

How one call of `DataEngine.get_historical_data` travels:

1. Query. `query.build_query` turns span and resolution into a request for stored bars, minute or
   daily ones, of whole buckets.
2. Cache. `engine.history_cache` answers a subscribed symbol's query that it has an entry for. A
   user's feed is never cached.
3. Store snapshot. `client.fetch` requests `md.history` and gets one consistent answer. `min_seq`
   makes it include every frame whose bars the callbacks may have seen, whichever replica answers.
4. Read-through. For feeds of the account `client.read_through` repeats that request while the
   store fetches from ingest what it does not cover. What takes longer than the timeout is in
   `gaps`.
5. Feed backfill. Ingest has no history of a user's feed, so its step 4 is
   `feed_backfill.complete_from_feed`: the feed's own `get_historical_data` is called for the
   missing range, and its bars are graded and merged with the stored ones.
6. Resample. `_resample` folds the bars into the resolution of the caller, as far as they are
   complete, and counts how many the calendar expects.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from lean_lite.blocks import Block, concat, empty_block
from lean_lite.bus import Bus
from lean_lite.bus.retry import retry_unavailable
from lean_lite.data.bars import Bars
from lean_lite.data.feed import DataFeed
from lean_lite.data.history.client import HistorySnapshot, fetch, read_through
from lean_lite.data.history.feed_backfill import complete_from_feed
from lean_lite.data.history.query import HistoryQuery
from lean_lite.data.resampling.completeness import complete_until, expected_bars, latest_expected_ns
from lean_lite.data.resampling.fold import fold_bars
from lean_lite.errors import BusError, DecodeError, RequestError
from lean_lite.feeds.routing import group_by_feed
from lean_lite.model import Resolution
from lean_lite.model.timestamps import DAY_NS, to_ns
from lean_lite.protocol.history import Gap, HistoryRequest

HISTORY_S = 60.0
# Rows of one page at most: a part of what the store puts into one answer (`store.reply_rows`).
PAGE_ROWS = 400_000
DAY_ROWS = 1_440


class HistoryReader:
    """
    Reads stored bars and fetches missing ones.

    Args:
        bus: an open connection.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def read(
        self,
        query: HistoryQuery,
        min_seq: Mapping[str, int],
        *,
        timeout_s: float,
        progress: Callable[[float], None] | None = None,
    ) -> Bars:
        """
        Return bars of a feed of the account; missing ones are fetched by read-through.

        Args:
            query: symbol, span and resolution.
            min_seq: GRADED sequence by lane that the answer must include.
            timeout_s: how long missing bars are fetched, in seconds.
            progress: called with the share of the span that is available, 0 to 1.

        Raises:
            LeanLiteError: the errors of `client.fetch`.
        """
        request = msgspec.structs.replace(query.request, min_seq=dict(min_seq))
        snapshot = await read_through(self._bus, request, wait_s=timeout_s, progress=progress)
        return _resample(_stored(snapshot, request), query)

    async def read_feed(
        self, query: HistoryQuery, feed: DataFeed, min_seq: Mapping[str, int], *, timeout_s: float
    ) -> Bars:
        """
        Return bars of a user's feed: stored ones, and the feed's own where none are stored.

        Args:
            query: symbol, span and resolution.
            feed: the user's feed.
            min_seq: GRADED sequence by lane that the answer must include.
            timeout_s: limit for the store and again for the feed, in seconds.

        Raises:
            LeanLiteError: the errors of `client.fetch`. A feed that fails leaves a gap instead.
        """
        request = msgspec.structs.replace(query.request, feed=feed.name, min_seq=dict(min_seq))
        snapshot = await retry_unavailable(lambda: fetch(self._bus, request), timeout_s)
        stored = _stored(snapshot, request)
        return _resample(
            await complete_from_feed(stored, feed, request, timeout_s=timeout_s), query
        )

    async def read_stored(self, symbol: str, feed: str, start_ns: int) -> Bars:
        """
        Return stored minutes from a time until now; an error becomes one gap.

        Args:
            symbol: the symbol.
            feed: name of the user's feed that serves it; empty if ingest does.
            start_ns: start, in nanoseconds since 1970 (UTC).
        """
        end_ns = time.time_ns()
        # With a `wait_s` of 0 the store fetches nothing, but returns what it does not cover as
        # gaps. A user's feed has no coverage.
        request = HistoryRequest(
            (symbol,), start_ns, end_ns, feed=feed, wait_s=None if feed else 0.0
        )
        try:
            return _stored(await fetch(self._bus, request), request)
        except (BusError, DecodeError, RequestError) as error:
            gap = Gap(symbol, start_ns, end_ns, f"the store could not be read: {error}")
            return Bars(empty_block(feed), (gap,))

    async def pages(
        self, feeds: Mapping[str, str], start_ns: int, min_seq: Mapping[str, int]
    ) -> AsyncIterator[HistorySnapshot]:
        """
        Yield the minutes of several symbols from a time until now, in pages of whole days.

        Args:
            feeds: by symbol the name of the user's feed that serves it; empty if ingest does.
            start_ns: start, in nanoseconds since 1970 (UTC).
            min_seq: GRADED sequence by lane that every page must include. Pages may come from
                different replicas: without it a later page could be older than an earlier one.
        """
        days = max(PAGE_ROWS // (DAY_ROWS * max(len(feeds), 1)), 1)
        # A day more than now: the clock of a feed may be ahead of this one.
        end_ns = time.time_ns() + DAY_NS
        while start_ns < end_ns:
            until_ns = min(start_ns + days * DAY_NS, end_ns)
            parts = [
                await self._page(
                    HistoryRequest(symbols, start_ns, until_ns, feed=feed, min_seq=dict(min_seq))
                )
                for feed, symbols in group_by_feed(feeds, feeds).items()
            ]
            lanes = set.intersection(*(set(part.through) for part in parts))
            yield HistorySnapshot(
                {lane: min(part.through[lane] for part in parts) for lane in lanes},
                [block for part in parts for block in part.blocks],
                gaps=tuple(gap for part in parts for gap in part.gaps),
            )
            start_ns = until_ns

    async def _page(self, request: HistoryRequest) -> HistorySnapshot:
        if request.feed:
            return await retry_unavailable(lambda: fetch(self._bus, request), HISTORY_S)
        return await read_through(self._bus, request, wait_s=HISTORY_S)


def parse_since(since: datetime | timedelta | None) -> int | None:
    """
    Return a time, or a duration before now, in nanoseconds since 1970 (UTC); None for None.

    Raises:
        ValueError: the time is in the future.
    """
    if since is None:
        return None
    start_ns = to_ns(datetime.now(UTC) - since if isinstance(since, timedelta) else since)
    if start_ns > time.time_ns():
        message = f"since={since!r} is in the future: expected a past time, or how long ago"
        raise ValueError(message)
    return start_ns


def _stored(snapshot: HistorySnapshot, request: HistoryRequest) -> Bars:
    resolution = Resolution.from_seconds(request.resolution_s)
    block = concat(snapshot.blocks or [empty_block(request.feed, resolution=resolution)])
    return Bars(block, snapshot.gaps, _expected(request, resolution, block))


def _resample(stored: Bars, query: HistoryQuery) -> Bars:
    """Fold stored bars into the resolution of a query."""
    if query.is_stored:
        return stored
    request = query.request
    end_ns = complete_until(stored.block, request.end_ns, time.time_ns())
    bars = fold_bars(stored, query.resolution, start_ns=request.start_ns, end_ns=end_ns)
    expected = _expected(request, query.resolution, stored.block)
    return Bars(bars.block, bars.gaps, expected, bars.partial)


def _expected(request: HistoryRequest, resolution: Resolution, stored: Block) -> int:
    """Return how many bars with regular trading the calendar has in a span until now."""
    end_ns = max(min(request.end_ns, latest_expected_ns(stored, time.time_ns())), request.start_ns)
    return expected_bars(request.symbols[0], resolution, request.start_ns, end_ns)
