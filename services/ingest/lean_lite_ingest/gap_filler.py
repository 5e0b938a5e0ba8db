"""GapFiller: fetch by REST what the stream of a feed may have missed, publish and report it."""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from itertools import batched

from lean_lite.bus import Bus
from lean_lite.bus.retry import retry
from lean_lite.config import IngestConfig
from lean_lite.errors import FeedUnavailable
from lean_lite.model.timestamps import MINUTE_NS
from lean_lite.protocol import subjects
from lean_lite.protocol.events import GapEvent, GapState
from lean_lite.protocol.partitions import Lane, lane_of
from lean_lite_ingest import metrics
from lean_lite_ingest.clock import sync_clock
from lean_lite_ingest.connection import FeedConnection
from lean_lite_ingest.gap_finder import GapFinder, GapRange, first_minute
from lean_lite_ingest.interest import Interests
from lean_lite_ingest.lane_publisher import IngestLanePublisher
from lean_lite_ingest.rows import Row
from lean_lite_ingest.source import MarketDataSource

SYMBOLS_PER_REQUEST = 500
RETRY_FIRST_S = 1.0
RETRY_MAX_S = 60.0

log = logging.getLogger(__name__)


class GapFiller:
    """
    Filler of the gaps of one feed.

    A lane declares nothing complete while it may have a gap. It does so again when the gap is
    filled, unless the connection was lost before that: then the next subscription finds a new gap,
    from the last complete bar on.
    """

    def __init__(
        self,
        bus: Bus,
        source: MarketDataSource,
        connection: FeedConnection,
        *,
        interests: Interests,
        publishers: Mapping[Lane, IngestLanePublisher],
        settings: IngestConfig,
    ) -> None:
        self._bus = bus
        self._feed = source.feed
        self._rest = source.history
        self._clock = source.clock
        self._connection = connection
        self._interests = interests
        self._publishers = publishers
        self._refill_repeat_s = settings.refill_repeat_s
        self._finder = GapFinder(publishers, settings.refill_span_s)
        self._lanes: set[Lane] = set()
        self._new_symbols: set[str] = set()
        self._requested = asyncio.Event()

    def add_lane(self, lane: Lane) -> None:
        """Look for gaps in a lane that may lack bars."""
        self._lanes.add(lane)
        self._requested.set()

    def add_symbols(self, symbols: Iterable[str]) -> None:
        """Fetch the minutes before the first live bar of new symbols."""
        self._new_symbols.update(symbols)
        self._requested.set()

    async def run(self) -> None:
        """Find and fill gaps until cancelled."""
        async with asyncio.TaskGroup() as second_passes:
            while True:
                await self._requested.wait()
                self._requested.clear()
                gaps = await self._fill_requested()
                if gaps:
                    second_passes.create_task(self._fill_again(gaps))

    async def _fill_requested(self) -> list[GapRange]:
        """Fill the gaps of lanes and symbols added since the last call, and return them."""
        lanes, self._lanes = self._lanes, set()
        symbols, self._new_symbols = self._new_symbols, set()
        disconnects = self._connection.disconnects
        await sync_clock(self._clock, self._feed)
        await self._clock.wait_synced()
        since_ns = self._interests.since_ns
        if lanes:
            await self._connection.publish_state("connected", f"{len(since_ns)} symbols")
        gaps, lost = self._finder.lane_gaps(lanes, since_ns, self._now_ns())
        for gap in lost:
            # Backfill fetches bars before this time; without it, they would count as complete.
            self._interests.live_since_ns |= dict.fromkeys(gap.symbols, gap.end_ns + MINUTE_NS)
            await self._publish_event(gap, "unrecoverable", 0)
        gaps += self._finder.start_gaps(symbols, since_ns, self._now_ns())
        await self._fill(gaps)
        if disconnects == self._connection.disconnects:
            for lane in lanes:
                self._publishers[lane].resume_completeness()
        return gaps

    async def _fill_again(self, gaps: list[GapRange]) -> None:
        """Fetch once more when late trades have corrected the last bars."""
        await asyncio.sleep(self._clock.wall_s(self._refill_repeat_s))
        await self._fill(gaps)

    async def _fill(self, gaps: Iterable[GapRange]) -> None:
        for gap, rows in [(gap, await self._fetch_and_publish(gap)) for gap in gaps]:
            log.info("gap.filled", extra={"gap": str(gap), "rows": rows})
            await self._publish_event(gap, "filled", rows)

    async def _fetch_and_publish(self, gap: GapRange) -> int:
        """Return how many bars of a gap were fetched, when all of them are in RAW."""
        rows = [row for row in await self._fetch(gap) if self._is_requested(row)]
        metrics.GAP_BARS.labels(self._feed).inc(len(rows))
        await self._publish(rows)
        return len(rows)

    def _is_requested(self, row: Row) -> bool:
        # A gap has one start for several symbols; bars from before a symbol's interest are history.
        return row.start_ns >= first_minute(self._interests.since_ns.get(row.symbol, 0))

    async def _fetch(self, gap: GapRange) -> list[Row]:
        rows: list[Row] = []
        for symbols in batched(gap.symbols, SYMBOLS_PER_REQUEST):
            rows += await self._fetch_with_retry(gap._replace(symbols=symbols))
        return rows

    async def _fetch_with_retry(self, gap: GapRange) -> list[Row]:
        return await retry(
            lambda: self._rest.bars(gap.symbols, gap.start_ns, gap.end_ns),
            (FeedUnavailable,),
            first_s=RETRY_FIRST_S,
            max_s=RETRY_MAX_S,
            on_retry=self._on_fetch_failed,
        )

    def _on_fetch_failed(self, error: Exception) -> None:
        metrics.REST_FAILED.labels(self._feed).inc()
        log.warning("gap.fetch_failed", extra={"feed": self._feed, "error": str(error)})

    async def _publish(self, rows: Iterable[Row]) -> None:
        lanes: dict[Lane, list[Row]] = {}
        for row in rows:
            lanes.setdefault(lane_of(row.symbol), []).append(row)
        await asyncio.gather(*(self._publishers[lane].put(lanes[lane]) for lane in lanes))

    async def _publish_event(self, gap: GapRange, state: GapState, rows: int) -> None:
        event = GapEvent(self._feed, gap.symbols, gap.start_ns, gap.end_ns, state, rows)
        await self._bus.publish_message(subjects.event("gap"), event)

    def _now_ns(self) -> int:
        return self._clock.feed_ns(time.time_ns())
