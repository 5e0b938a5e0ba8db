"""Fetch history on demand, each span once, whoever asks for it."""

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
from lean_lite_ingest import metrics as counters
from lean_lite_ingest.alpaca.rest import AlpacaHistory
from lean_lite_ingest.alpaca.symbols import SymbolDirectory, raise_refused
from lean_lite_ingest.bulk_publisher import BulkPublisher
from lean_lite_ingest.clock import FeedClock
from lean_lite_ingest.lane_publisher import IngestLanePublisher
from lean_lite_ingest.rows import Row

JOBS = 256
# Who asks again after a wait finds the outcome; later the same span is fetched anew.
REMEMBER_S = 2.5
ATTEMPTS = 4
RETRY_FIRST_S = 1.0
RETRY_MAX_S = 4.0
# Late trades correct a bar half a minute after its end; then it is final.
FINAL_FEED_S = 35.0
FINAL_WALL_S = 0.5
LONGEST_DAY_NS = 25 * HOUR_NS
# About one page of 10,000 bars each.
SLICE_NS = {60: 6 * DAY_NS, 86_400: 7_500 * DAY_NS}

log = logging.getLogger(__name__)


class Job(NamedTuple):
    """Name what is fetched once."""

    symbol: str
    resolution_s: int
    start_ns: int
    end_ns: int


class Backfill:
    """
    Fetch spans of one feed from REST and publish them in bulk.

    What the socket has brought since a symbol was subscribed is not fetched: the lane of live bars
    says itself that it is whole.
    """

    def __init__(
        self,
        rest: AlpacaHistory,
        clock: FeedClock,
        directory: SymbolDirectory,
        *,
        publishers: Mapping[Lane, IngestLanePublisher],
        since_ns: Callable[[str], int | None],
        lane: Callable[[Lane], BulkPublisher],
    ) -> None:
        """Fetch nothing before `want`; `since_ns` tells from when on a symbol's bars are live."""
        self._rest = rest
        self._clock = clock
        self._directory = directory
        self._outboxes = publishers
        self._since_ns = since_ns
        self._new_lane = lane
        self._lanes: dict[Lane, BulkPublisher] = {}
        self._jobs: dict[Job, asyncio.Task[BackfillReply]] = {}

    async def run(self, request: BackfillRequest) -> BackfillReply:
        """Return how it ended, or after `wait_s` that it goes on; Busy for too many at once."""
        if request.resolution_s not in SLICE_NS:
            code = "resolution"
            message = "Alpaca's history is fetched as minutes and days: ask for one of these"
            raise RequestError(code, message)
        job = Job(request.symbol, request.resolution_s, request.start_ns, request.end_ns)
        task = self._jobs.get(job)
        if task is None:
            if len(self._jobs) >= JOBS:
                message = f"{JOBS} spans are being fetched: ask again"
                raise Busy(message)
            task = self._jobs[job] = asyncio.create_task(self._run_job(job))
        await asyncio.wait([task], timeout=request.wait_s)
        return task.result() if task.done() else BackfillReply(over=False, until_ns=0)

    async def stop(self) -> None:
        """Give up what is being fetched."""
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
        # Around what is whole there: before it was subscribed, and since a hole began.
        await self._fetch(job, job.start_ns, min(end_ns, live.start_ns))
        await self._fetch(job, max(job.start_ns, live.end_ns), end_ns)

    async def _declare_live_complete(self, job: Job, end_ns: int) -> CoveredSpan:
        """Have the live lane say what is whole there, and return that span, perhaps empty."""
        since_ns = self._since_ns(job.symbol)
        nothing = CoveredSpan(end_ns, end_ns, job.symbol)
        if since_ns is None or job.resolution_s * SECOND_NS != MINUTE_NS:
            return nothing
        start_ns = max(job.start_ns, -(-since_ns // MINUTE_NS) * MINUTE_NS)
        outbox = self._outboxes[lane_of(job.symbol)]
        until_ns = min(end_ns, outbox.complete_until(end_ns))
        if start_ns >= until_ns:
            return nothing
        span = CoveredSpan(start_ns, until_ns, job.symbol)
        await outbox.declare_complete(span)
        return span

    async def _fetch(self, job: Job, start_ns: int, end_ns: int) -> None:
        resolution = Resolution.from_seconds(job.resolution_s)
        for begin_ns, until_ns in _slices(start_ns, end_ns, SLICE_NS[job.resolution_s]):
            rows = await self._fetch_with_retry(job, begin_ns, until_ns - 1, resolution)
            if not rows:  # Perhaps because there is no such symbol.
                raise_refused(await self._directory.unknown([job.symbol]))
            span = CoveredSpan(begin_ns, until_ns, job.symbol)
            await self._lane(job.symbol).publish(rows, span, resolution)

    async def _fetch_with_retry(
        self, job: Job, start_ns: int, last_ns: int, resolution: Resolution
    ) -> list[Row]:
        return await retry(
            lambda: self._rest.bars([job.symbol], start_ns, last_ns, resolution),
            (FeedUnavailable,),
            first_s=RETRY_FIRST_S,
            max_s=RETRY_MAX_S,
            attempts=ATTEMPTS,
            on_retry=lambda _: counters.REST_FAILED.labels(self._rest.feed).inc(),
        )

    def _lane(self, symbol: str) -> BulkPublisher:
        lane = lane_of(symbol)
        if lane not in self._lanes:
            self._lanes[lane] = self._new_lane(lane)
        return self._lanes[lane]

    def _final_ns(self, resolution_s: int) -> int:
        """Return the start of the first bar that may still change."""
        margin_s = max(FINAL_FEED_S, FINAL_WALL_S / self._clock.wall_s(1.0))
        now_ns = self._clock.feed_ns(time.time_ns()) - round(margin_s * SECOND_NS)
        return final_ns(now_ns, resolution_s)


def final_ns(now_ns: int, resolution_s: int) -> int:
    """Return an instant: bars that start before it are over."""
    if resolution_s * SECOND_NS == MINUTE_NS:
        return now_ns - now_ns % MINUTE_NS
    # Days begin at a midnight that is not UTC's; by the hour, so that REST is asked now and then.
    return now_ns - now_ns % HOUR_NS - LONGEST_DAY_NS


def _slices(start_ns: int, end_ns: int, length_ns: int) -> Iterator[tuple[int, int]]:
    while start_ns < end_ns:
        until_ns = min(start_ns - start_ns % length_ns + length_ns, end_ns)
        yield start_ns, until_ns
        start_ns = until_ns
