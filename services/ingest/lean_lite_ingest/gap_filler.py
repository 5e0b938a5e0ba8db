"""Fetch by REST what the socket may have missed."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from itertools import batched
from typing import NamedTuple

from lean_lite.bus.retry import retry
from lean_lite.errors import FeedUnavailable
from lean_lite.model.timestamps import MINUTE_NS, SECOND_NS, from_ns
from lean_lite.protocol.partitions import Lane, lane_of
from lean_lite_ingest import metrics as counters
from lean_lite_ingest.alpaca.rest import AlpacaHistory
from lean_lite_ingest.lane_publisher import IngestLanePublisher
from lean_lite_ingest.rows import Row

# A correction comes half a minute after its bar: what was lost just before the hole is older.
MARGIN_NS = 2 * MINUTE_NS
# Lanes whose holes begin this close together share their requests.
NEAR_NS = 10 * MINUTE_NS
SYMBOLS_PER_REQUEST = 500
RETRY_FIRST_S = 1.0
RETRY_MAX_S = 60.0

log = logging.getLogger(__name__)


class GapRange(NamedTuple):
    """Name a span of starts, both ends included, and the symbols that may lack bars in it."""

    symbols: tuple[str, ...]
    start_ns: int
    end_ns: int


class FilledGap(NamedTuple):
    """Say how many bars a hole was filled with."""

    gap: GapRange
    rows: int


class GapFiller:
    """Fill the holes of one feed."""

    def __init__(
        self,
        rest: AlpacaHistory,
        feed: str,
        outboxes: Mapping[Lane, IngestLanePublisher],
        span_s: float,
    ) -> None:
        """Fetch nothing before it is asked; holes longer than `span_s` are cut."""
        self._rest = rest
        self._feed = feed
        self._outboxes = outboxes
        self._span_ns = round(span_s * SECOND_NS)

    def gaps(
        self, lanes: Iterable[Lane], since_ns: Mapping[str, int], now_ns: int
    ) -> tuple[list[GapRange], list[GapRange]]:
        """Return the holes to fetch now, and the parts that lie too far back for that."""
        end_ns = now_ns - now_ns % MINUTE_NS - MINUTE_NS
        earliest_ns = end_ns - self._span_ns
        starts = {symbol: self._start_ns(symbol, since_ns[symbol]) for symbol in since_ns}
        chosen = set(lanes)
        wanted = sorted(
            (start, symbol)
            for symbol, start in starts.items()
            if start <= end_ns and lane_of(symbol) in chosen
        )
        lost = [
            GapRange((symbol,), start, earliest_ns - MINUTE_NS)
            for start, symbol in wanted
            if start < earliest_ns
        ]
        return list(_group_by_start([(max(s, earliest_ns), n) for s, n in wanted], end_ns)), lost

    def start_gaps(
        self, symbols: Iterable[str], since_ns: Mapping[str, int], now_ns: int
    ) -> list[GapRange]:
        """
        Return the minutes between what history has of new symbols and what comes live.

        History ends where bars are final, 35 s ago; the last whole minute before a subscription
        would be in neither.
        """
        end_ns = now_ns - now_ns % MINUTE_NS - MINUTE_NS
        starts = sorted((self._begin_ns(since_ns[s]), s) for s in symbols if s in since_ns)
        return list(_group_by_start([start for start in starts if start[0] <= end_ns], end_ns))

    async def fill(self, holes: Iterable[GapRange], since_ns: Mapping[str, int]) -> list[FilledGap]:
        """Fetch and publish; return when all is in RAW."""
        filled = []
        for hole in holes:
            rows = await self._fetch(hole)
            kept = [r for r in rows if r.start_ns >= self._begin_ns(since_ns.get(r.symbol, 0))]
            counters.REFILLED.labels(self._feed).inc(len(kept))
            await self._publish(kept)
            filled.append(FilledGap(hole, len(kept)))
        return filled

    def _start_ns(self, symbol: str, since_ns: int) -> int:
        complete_ns = self._outboxes[lane_of(symbol)].complete_ns
        begin_ns = self._begin_ns(since_ns)
        return begin_ns if complete_ns is None else max(begin_ns, complete_ns - MARGIN_NS)

    @staticmethod
    def _begin_ns(since_ns: int) -> int:
        """Return the minute before a symbol was wanted: its bar may come just afterwards."""
        return since_ns - since_ns % MINUTE_NS - MINUTE_NS

    async def _fetch(self, hole: GapRange) -> list[Row]:
        rows: list[Row] = []
        for symbols in batched(hole.symbols, SYMBOLS_PER_REQUEST):
            rows += await self._fetch_with_retry(GapRange(symbols, hole.start_ns, hole.end_ns))
        return rows

    async def _fetch_with_retry(self, hole: GapRange) -> list[Row]:
        return await retry(
            lambda: self._rest.bars(hole.symbols, hole.start_ns, hole.end_ns),
            (FeedUnavailable,),
            first_s=RETRY_FIRST_S,
            max_s=RETRY_MAX_S,
            on_retry=self._on_fetch_failed,
        )

    def _on_fetch_failed(self, error: Exception) -> None:
        counters.REST_FAILED.labels(self._feed).inc()
        log.warning("refill.failed", extra={"feed": self._feed, "error": str(error)})

    async def _publish(self, rows: Iterable[Row]) -> None:
        lanes: dict[Lane, list[Row]] = {}
        for row in rows:
            lanes.setdefault(lane_of(row.symbol), []).append(row)
        await asyncio.gather(*(self._outboxes[lane].put(lanes[lane]) for lane in lanes))


def _group_by_start(wanted: list[tuple[int, str]], end_ns: int) -> Iterable[GapRange]:
    group: list[str] = []
    begin_ns = 0
    for start_ns, symbol in wanted:
        if group and start_ns > begin_ns + NEAR_NS:
            yield GapRange(tuple(group), begin_ns, end_ns)
            group = []
        if not group:
            begin_ns = start_ns
        group.append(symbol)
    if group:
        yield GapRange(tuple(group), begin_ns, end_ns)


def describe(hole: GapRange) -> str:
    """Return a hole in words for a log."""
    span = f"{from_ns(hole.start_ns):%Y-%m-%d %H:%M} to {from_ns(hole.end_ns):%H:%M} UTC"
    return f"{len(hole.symbols)} symbols, {span}"
