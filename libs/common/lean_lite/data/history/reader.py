"""History, as an engine asks for it."""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from lean_lite.blocks import Block, concat, empty_block
from lean_lite.bus import Bus
from lean_lite.bus.retry import patiently
from lean_lite.data.bars import Bars
from lean_lite.data.feed import DataFeed
from lean_lite.data.history.client import Snapshot, fetch, read_through
from lean_lite.data.history.feed_backfill import supplement
from lean_lite.data.history.query import Span
from lean_lite.data.resampling.completeness import expected_of, known_until, now_of
from lean_lite.data.resampling.fold import longer
from lean_lite.errors import BusError, DecodeError, RequestError
from lean_lite.feeds.routing import grouped
from lean_lite.model import Resolution
from lean_lite.model.timestamps import DAY_NS, to_ns
from lean_lite.protocol.history import Gap, HistoryRequest

HISTORY_S = 60.0
# Bars of one page, at most: a share of what the store puts into one answer.
PAGE_ROWS = 400_000
DAY_ROWS = 1_440


class Past:
    """Ask the store, and what stands behind it."""

    def __init__(self, bus: Bus) -> None:
        """Ask for nothing yet."""
        self._bus = bus

    async def of_bus(
        self,
        asked: Span,
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
        return _made(_stored(snapshot, request), asked)

    async def of_feed(
        self, asked: Span, feed: DataFeed, seen: Mapping[str, int], *, timeout_s: float
    ) -> Bars:
        """Return the bars of a user's feed: those stored, and what the feed itself can tell."""
        request = msgspec.structs.replace(asked.request, feed=feed.name, min_seq=dict(seen))
        snapshot = await patiently(lambda: fetch(self._bus, request), timeout_s)
        stored = _stored(snapshot, request)
        return _made(await supplement(stored, feed, request, timeout_s=timeout_s), asked)

    async def stored(self, symbol: str, feed: str, start_ns: int) -> Bars:
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
    ) -> AsyncIterator[Snapshot]:
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
                for feed, symbols in grouped(feeds, feeds).items()
            ]
            lanes = set.intersection(*(set(part.through) for part in parts))
            yield Snapshot(
                {lane: min(part.through[lane] for part in parts) for lane in lanes},
                [block for part in parts for block in part.blocks],
                gaps=tuple(gap for part in parts for gap in part.gaps),
            )
            start_ns = until_ns

    async def _page(self, request: HistoryRequest) -> Snapshot:
        if request.feed:
            return await patiently(lambda: fetch(self._bus, request), HISTORY_S)
        return await read_through(self._bus, request, wait_s=HISTORY_S)


def since_of(since: datetime | timedelta | None) -> int | None:
    """Return the moment, or the moment so long ago; ValueError when it is to come."""
    if since is None:
        return None
    begin_ns = to_ns(datetime.now(UTC) - since if isinstance(since, timedelta) else since)
    if begin_ns > time.time_ns():
        message = f"since={since!r} is yet to come: give a moment of the past, or how long ago"
        raise ValueError(message)
    return begin_ns


def _stored(snapshot: Snapshot, request: HistoryRequest) -> Bars:
    resolution = Resolution.from_seconds(request.resolution_s)
    block = concat(snapshot.blocks or [empty_block(request.feed, resolution=resolution)])
    return Bars(block, snapshot.gaps, _expected(request, resolution, block))


def _made(stored: Bars, asked: Span) -> Bars:
    """Return stored bars in the resolution that was asked for."""
    if asked.is_stored:
        return stored
    request = asked.request
    end_ns = known_until(stored.block, request.end_ns, time.time_ns())
    bars = longer(stored, asked.resolution, start_ns=request.start_ns, end_ns=end_ns)
    expected = _expected(request, asked.resolution, stored.block)
    return Bars(bars.block, bars.gaps, expected, bars.partial)


def _expected(request: HistoryRequest, resolution: Resolution, stored: Block) -> int:
    """Return how many bars of regular trading a span has until now."""
    end_ns = max(min(request.end_ns, now_of(stored, time.time_ns())), request.start_ns)
    return expected_of(request.symbols[0], resolution, request.start_ns, end_ns)
