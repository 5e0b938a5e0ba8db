"""Backfill: fetch requested history by REST, each span once, and publish it in bulk."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from lean_lite.bus.retry import retry
from lean_lite.errors import BusError, Busy, FeedUnavailable, RequestError
from lean_lite.model import Resolution
from lean_lite.model.timestamps import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS
from lean_lite.protocol.control import BackfillReply, BackfillRequest
from lean_lite.protocol.headers import CoveredSpan
from lean_lite.protocol.partitions import Lane, lane_of
from lean_lite_ingest import metrics
from lean_lite_ingest.bulk_publisher import BulkPublisher
from lean_lite_ingest.lane_publisher import IngestLanePublisher
from lean_lite_ingest.rows import Row
from lean_lite_ingest.source import MarketDataSource, raise_refused

MAX_JOBS = 256
# How long the outcome of a fetch is kept for clients that poll each second. After that, the same
# span is fetched again.
REMEMBER_S = 2.5
ATTEMPTS = 4
RETRY_FIRST_S = 1.0
RETRY_MAX_S = 4.0
# Late trades correct a bar half a minute after its end, in the feed's time; then it is final. A
# fast simulator also gets some time of this machine, in which the correction arrives.
FINAL_FEED_S = 35.0
FINAL_WALL_S = 0.5
# A day on which the clocks are set back.
LONGEST_DAY_NS = 25 * HOUR_NS
# By seconds of a bar, about one page of 10,000 bars each.
SLICE_NS = {
    Resolution.MINUTE.seconds: 6 * DAY_NS,
    Resolution.DAILY.seconds: 7_500 * DAY_NS,
}

log = logging.getLogger(__name__)


class Job(NamedTuple):
    """A span of one symbol, fetched once for all clients that request it."""

    symbol: str
    resolution_s: int
    start_ns: int
    end_ns: int


class Backfill:
    """
    Backfill of one feed.

    Bars since a symbol is live are not fetched again: their lane declares them complete.
    `live_since_ns` has that time by symbol, and `new_publisher` makes the bulk publisher of a lane.
    """

    def __init__(
        self,
        source: MarketDataSource,
        *,
        publishers: Mapping[Lane, IngestLanePublisher],
        live_since_ns: Mapping[str, int],
        new_publisher: Callable[[Lane], BulkPublisher],
    ) -> None:
        self._rest = source.history
        self._clock = source.clock
        self._symbols = source.symbols
        self._feed = source.feed
        self._publishers = publishers
        self._live_since_ns = live_since_ns
        self._new_publisher = new_publisher
        self._bulk_publishers: dict[Lane, BulkPublisher] = {}
        self._jobs: dict[Job, asyncio.Task[BackfillReply]] = {}

    async def run(self, request: BackfillRequest) -> BackfillReply:
        """
        Return the outcome, or after `wait_s` that the fetch is in progress.

        RequestError for a resolution that the vendor does not have, Busy for too many spans.
        """
        if request.resolution_s not in SLICE_NS:
            code = "resolution"
            message = "history is fetched as minutes and days: request one of these"
            raise RequestError(code, message)
        job = Job(request.symbol, request.resolution_s, request.start_ns, request.end_ns)
        task = self._jobs.get(job)
        if task is None:
            if len(self._jobs) >= MAX_JOBS:
                message = f"{MAX_JOBS} spans of history are being fetched: try again later"
                raise Busy(message)
            task = self._jobs[job] = asyncio.create_task(self._run_job(job))
        await asyncio.wait([task], timeout=request.wait_s)
        return task.result() if task.done() else BackfillReply(over=False, until_ns=0)

    async def stop(self) -> None:
        """Cancel all fetches."""
        for task in self._jobs.values():
            task.cancel()
        await asyncio.gather(*self._jobs.values(), return_exceptions=True)

    async def _run_job(self, job: Job) -> BackfillReply:
        final_ns = self._final_ns(job.resolution_s)
        failed = ""
        try:
            await self._fill(job, min(job.end_ns, final_ns))
        except (FeedUnavailable, RequestError, BusError) as error:
            failed = str(error)
            log.warning("backfill.failed", extra={"symbol": job.symbol, "error": failed})
        asyncio.get_running_loop().call_later(REMEMBER_S, self._jobs.pop, job, None)
        return BackfillReply(over=True, until_ns=final_ns, failed=failed)

    async def _fill(self, job: Job, end_ns: int) -> None:
        live = await self._declare_live_complete(job, end_ns)
        # Fetch the rest: bars before the symbol was live, and bars since a gap started.
        await self._fetch(job, job.start_ns, min(end_ns, live.start_ns))
        await self._fetch(job, max(job.start_ns, live.end_ns), end_ns)

    async def _declare_live_complete(self, job: Job, end_ns: int) -> CoveredSpan:
        """Have the symbol's lane declare what is complete, and return that span, maybe empty."""
        since_ns = self._live_since_ns.get(job.symbol)
        nothing = CoveredSpan(end_ns, end_ns, job.symbol)
        if since_ns is None or job.resolution_s * SECOND_NS != MINUTE_NS:
            return nothing
        start_ns = max(job.start_ns, -(-since_ns // MINUTE_NS) * MINUTE_NS)
        publisher = self._publishers[lane_of(job.symbol)]
        until_ns = min(end_ns, publisher.complete_until(end_ns))
        if start_ns >= until_ns:
            return nothing
        span = CoveredSpan(start_ns, until_ns, job.symbol)
        await publisher.declare_complete(span)
        return span

    async def _fetch(self, job: Job, start_ns: int, end_ns: int) -> None:
        resolution = Resolution.from_seconds(job.resolution_s)
        for slice_ns, until_ns in _slices(start_ns, end_ns, SLICE_NS[job.resolution_s]):
            rows = await self._fetch_with_retry(job, slice_ns, until_ns - 1, resolution)
            if not rows:  # Perhaps because the vendor does not have the symbol.
                raise_refused(await self._symbols.find_unknown([job.symbol]))
            span = CoveredSpan(slice_ns, until_ns, job.symbol)
            await self._bulk_publisher(job.symbol).publish(rows, span, resolution)

    async def _fetch_with_retry(
        self, job: Job, start_ns: int, last_ns: int, resolution: Resolution
    ) -> list[Row]:
        return await retry(
            lambda: self._rest.bars([job.symbol], start_ns, last_ns, resolution),
            (FeedUnavailable,),
            first_s=RETRY_FIRST_S,
            max_s=RETRY_MAX_S,
            attempts=ATTEMPTS,
            on_retry=lambda _: metrics.REST_FAILED.labels(self._feed).inc(),
        )

    def _bulk_publisher(self, symbol: str) -> BulkPublisher:
        lane = lane_of(symbol)
        if lane not in self._bulk_publishers:
            self._bulk_publishers[lane] = self._new_publisher(lane)
        return self._bulk_publishers[lane]

    def _final_ns(self, resolution_s: int) -> int:
        """Return the start of the first bar that may still change."""
        margin_s = max(FINAL_FEED_S, FINAL_WALL_S / self._clock.wall_s(1.0))
        now_ns = self._clock.feed_ns(time.time_ns()) - round(margin_s * SECOND_NS)
        return final_ns(now_ns, resolution_s)


def final_ns(now_ns: int, resolution_s: int) -> int:
    """Return a time such that all bars of a resolution that start before it have ended."""
    if resolution_s * SECOND_NS == MINUTE_NS:
        return now_ns - now_ns % MINUTE_NS
    # Days start at a vendor's midnight, not at UTC's. Rounded down to the hour: the last day of a
    # span that clients request again and again is then fetched once an hour.
    return now_ns - now_ns % HOUR_NS - LONGEST_DAY_NS


def _slices(start_ns: int, end_ns: int, length_ns: int) -> Iterator[tuple[int, int]]:
    while start_ns < end_ns:
        until_ns = min(start_ns - start_ns % length_ns + length_ns, end_ns)
        yield start_ns, until_ns
        start_ns = until_ns
