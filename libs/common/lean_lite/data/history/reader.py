"""History, as an engine asks for it."""

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
# Bars of one page, at most: a share of what the store puts into one answer.
PAGE_ROWS = 400_000
DAY_ROWS = 1_440


class HistoryReader:
    """Ask the store, and what stands behind it."""

    def __init__(self, bus: Bus) -> None:
        """Ask for nothing yet."""
        self._bus = bus

    async def read(
        self,
        asked: HistoryQuery,
        seen: Mapping[str, int],
        *,
        timeout_s: float,
        progress: Callable[[float], None] | None = None,
    ) -> Bars:
        """
        Return the bars of a span, with all up to the frames that were `seen`.

        What is not stored is fetched within `timeout_s`.
        """
        request = msgspec.structs.replace(asked.request, min_seq=dict(seen))
        snapshot = await read_through(self._bus, request, wait_s=timeout_s, progress=progress)
        return _resample(_stored(snapshot, request), asked)

    async def read_feed(
        self, asked: HistoryQuery, feed: DataFeed, seen: Mapping[str, int], *, timeout_s: float
    ) -> Bars:
        """Return the bars of a user's feed: those stored, and what the feed itself can tell."""
        request = msgspec.structs.replace(asked.request, feed=feed.name, min_seq=dict(seen))
        snapshot = await retry_unavailable(lambda: fetch(self._bus, request), timeout_s)
        stored = _stored(snapshot, request)
        return _resample(
            await complete_from_feed(stored, feed, request, timeout_s=timeout_s), asked
        )

    async def read_stored(self, symbol: str, feed: str, start_ns: int) -> Bars:
        """Return what is stored from a moment until now, with gaps for what is not."""
        end_ns = time.time_ns()
        request = HistoryRequest(
            (symbol,), start_ns, end_ns, feed=feed, wait_s=None if feed else 0.0
        )
        try:
            return _stored(await fetch(self._bus, request), request)
        except (BusError, DecodeError, RequestError) as error:
            gap = Gap(symbol, start_ns, end_ns, f"the store did not tell: {error}")
            return Bars(empty_block(feed), (gap,))

    async def pages(
        self, feeds: Mapping[str, str], start_ns: int, min_seq: Mapping[str, int]
    ) -> AsyncIterator[HistorySnapshot]:
        """
        Yield all there is from a moment on, in parts of whole days.

        `feeds` maps every symbol to the user's feed that serves it, or to nothing. Each part says
        up to which frames it goes at least; whichever replica answers, that is `min_seq` or later.
        """
        days = max(PAGE_ROWS // (DAY_ROWS * max(len(feeds), 1)), 1)
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
    """Return the moment, or the moment so long ago; ValueError when it is to come."""
    if since is None:
        return None
    begin_ns = to_ns(datetime.now(UTC) - since if isinstance(since, timedelta) else since)
    if begin_ns > time.time_ns():
        message = f"since={since!r} is yet to come: give a moment of the past, or how long ago"
        raise ValueError(message)
    return begin_ns


def _stored(snapshot: HistorySnapshot, request: HistoryRequest) -> Bars:
    resolution = Resolution.from_seconds(request.resolution_s)
    block = concat(snapshot.blocks or [empty_block(request.feed, resolution=resolution)])
    return Bars(block, snapshot.gaps, _expected(request, resolution, block))


def _resample(stored: Bars, asked: HistoryQuery) -> Bars:
    """Return stored bars in the resolution that was asked for."""
    if asked.is_stored:
        return stored
    request = asked.request
    end_ns = complete_until(stored.block, request.end_ns, time.time_ns())
    bars = fold_bars(stored, asked.resolution, start_ns=request.start_ns, end_ns=end_ns)
    expected = _expected(request, asked.resolution, stored.block)
    return Bars(bars.block, bars.gaps, expected, bars.partial)


def _expected(request: HistoryRequest, resolution: Resolution, stored: Block) -> int:
    """Return how many bars of regular trading a span has until now."""
    end_ns = max(min(request.end_ns, latest_expected_ns(stored, time.time_ns())), request.start_ns)
    return expected_bars(request.symbols[0], resolution, request.start_ns, end_ns)
