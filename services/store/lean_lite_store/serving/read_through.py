"""
Have ingest fetch what history lacks, each span once, whoever asks for it.

The bars come back through BULK_GRADED with word of what is whole; a fetch is over when this store
has applied that word, so that the answer which follows has them.
"""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from lean_lite.bus import Bus, request_reply
from lean_lite.bus.retry import retry
from lean_lite.config import Config
from lean_lite.errors import BusUnavailable, Busy, DecodeError, RequestError
from lean_lite.market.calendar import calendar_of
from lean_lite.market.symbols import asset_class_of
from lean_lite.model.timestamps import DAY_NS
from lean_lite.protocol.control import BackfillReply, BackfillRequest
from lean_lite.protocol.history import Gap, HistoryRequest
from lean_lite.protocol.subjects import BACKFILL
from lean_lite_store.metrics import FETCHES
from lean_lite_store.storage.coverage import Coverage
from lean_lite_store.storage.series import Series, Source, feed_of

JOBS = 256
DAYS = 7_500  # twenty years: what one request may reach back
ASK_S = 1.0
SLACK_S = 1.0
# Longer than another ingest needs to take over.
SILENT_S = 15.0
APPLY_S = 30.0
# So long the outcome of a fetch is the answer to the same request, which comes every second.
REMEMBER_S = 5.0
DAILY_S = 86_400


class MissingSpan(NamedTuple):
    """Name a time of a series that is not covered."""

    series: Series
    start_ns: int
    end_ns: int

    def lies_in(self, other: "MissingSpan") -> bool:
        """Say whether this is no more than a part of another one."""
        return (
            self.series == other.series
            and other.start_ns <= self.start_ns
            and self.end_ns <= other.end_ns
        )


class Outcome(NamedTuple):
    """Tell how a fetch ended: why it failed, or from when on bars are not final yet."""

    failed: str
    until_ns: int
    at: float


class Fetched(NamedTuple):
    """Say which share of a request is settled, and what could not be had."""

    done: float
    gaps: tuple[Gap, ...]


FETCHED = Fetched(1.0, ())


class ReadThrough:
    """Compare requests with the coverage, and fetch what is missing."""

    def __init__(self, bus: Bus, config: Config, coverage: Coverage) -> None:
        """Fetch nothing before `settle`."""
        self._bus = bus
        self._alpaca = config.alpaca
        self._coverage = coverage
        self._jobs: dict[MissingSpan, asyncio.Task[None]] = {}
        self._outcomes: dict[MissingSpan, Outcome] = {}
        self._changed = asyncio.Event()

    def on_coverage_grown(self) -> None:
        """Hear that the coverage has grown."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def fetch_missing(self, request: HistoryRequest) -> Fetched:
        """
        Fetch what is missing and return when nothing more can be had, or after `wait_s`.

        With `wait_s` 0 nothing is begun. RequestError `too-large` for a span beyond twenty years;
        Busy while too many fetches are at work.
        """
        _check(request)
        wait_s = request.wait_s or 0.0
        self._forget()
        until = time.monotonic() + wait_s
        while True:
            changed = self._changed
            missing = list(self._missing(request))
            if wait_s:
                self._begin(missing)
            running = [part for part in missing if self._is_running(part)]
            left_s = until - time.monotonic()
            if not running or left_s <= 0:
                return Fetched(_done(request, running), tuple(self._gaps(missing)))
            await _wait(changed, left_s)

    async def stop(self) -> None:
        """Give up what is being fetched."""
        for task in list(self._jobs.values()):
            task.cancel()
        await asyncio.gather(*self._jobs.values(), return_exceptions=True)

    def _missing(self, request: HistoryRequest) -> Iterable[MissingSpan]:
        start_ns = request.start_ns // DAY_NS * DAY_NS
        end_ns = -(-request.end_ns // DAY_NS) * DAY_NS
        for symbol in dict.fromkeys(request.symbols):
            series = self._series(request, symbol)
            for begin_ns, stop_ns in self._coverage.missing(series, [(start_ns, end_ns)]):
                yield from _trading(MissingSpan(series, begin_ns, stop_ns))

    def _series(self, request: HistoryRequest, symbol: str) -> Series:
        feed = feed_of(request, symbol, self._alpaca)
        return Series(Source(feed, request.resolution_s, self._alpaca.simulated), symbol)

    def _begin(self, missing: Iterable[MissingSpan]) -> None:
        for part in missing:
            if self._is_running(part) or self._outcome(part) is not None:
                continue
            if len(self._jobs) >= JOBS:
                message = f"{JOBS} fetches of history are at work: ask again"
                raise Busy(message)
            self._jobs[part] = asyncio.create_task(self._fetch(part))

    def _is_running(self, part: MissingSpan) -> bool:
        return any(part.lies_in(job) for job in self._jobs)

    def _outcome(self, part: MissingSpan) -> Outcome | None:
        outcomes = self._outcomes.items()
        return next((outcome for job, outcome in outcomes if part.lies_in(job)), None)

    def _gaps(self, missing: Iterable[MissingSpan]) -> Iterable[Gap]:
        for part in missing:
            outcome = self._outcome(part)
            end_ns = part.end_ns
            if self._is_running(part):
                reason = "it is still being fetched: ask again, or wait longer"
            elif outcome is None:
                reason = "it was not asked for: ask with a time to wait"
            elif outcome.failed:
                reason = outcome.failed
            else:
                # What lies beyond is not over yet, or not final: that is no gap.
                end_ns = min(end_ns, outcome.until_ns)
                reason = "it was fetched, but did not arrive: ask again"
            if part.start_ns < end_ns:
                yield Gap(part.series.symbol, part.start_ns, end_ns, reason)

    async def _fetch(self, part: MissingSpan) -> None:
        try:
            outcome = await self._outcome_of(part)
        except (BusUnavailable, RequestError, DecodeError) as error:
            outcome = Outcome(str(error), part.start_ns, time.monotonic())
        FETCHES.labels("failed" if outcome.failed else "fetched").inc()
        del self._jobs[part]
        self._outcomes[part] = outcome
        self.on_coverage_grown()

    async def _outcome_of(self, part: MissingSpan) -> Outcome:
        (source, symbol), start_ns, end_ns = part
        request = BackfillRequest(
            symbol, start_ns, end_ns, source.resolution_s, source.feed, wait_s=ASK_S
        )
        while not (reply := await self._ask(request)).over:
            pass
        if not reply.failed:
            await self._applied(part.series, start_ns, min(end_ns, reply.until_ns))
        return Outcome(reply.failed, reply.until_ns, time.monotonic())

    async def _ask(self, request: BackfillRequest) -> BackfillReply:
        """Return ingest's answer; BusUnavailable when nobody has taken over after a while."""
        return await retry(
            lambda: request_reply(
                self._bus, BACKFILL, request, BackfillReply, timeout_s=ASK_S + SLACK_S
            ),
            (Busy, BusUnavailable),
            limit_s=SILENT_S,
        )

    async def _applied(self, series: Series, start_ns: int, end_ns: int) -> None:
        """Return when the coverage says so, or when that takes too long: then there are gaps."""
        until = time.monotonic() + APPLY_S
        while start_ns < end_ns and time.monotonic() < until:
            changed = self._changed
            missing = self._coverage.missing(series, [(start_ns, end_ns)])
            if not any(True for part in missing for _ in _trading(MissingSpan(series, *part))):
                return
            await _wait(changed, ASK_S)

    def _forget(self) -> None:
        since = time.monotonic() - REMEMBER_S
        self._outcomes = {job: out for job, out in self._outcomes.items() if out.at > since}


async def _wait(changed: asyncio.Event, limit_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            await changed.wait()


def _check(request: HistoryRequest) -> None:
    if request.end_ns - request.start_ns > DAYS * DAY_NS:
        code = "too-large"
        message = f"a request may span {DAYS} days: ask for a shorter one"
        raise RequestError(code, message)


def _trading(part: MissingSpan) -> Iterable[MissingSpan]:
    """Yield the part without the nights at its ends, or nothing when there was no trading."""
    if part.series.source.resolution_s >= DAILY_S:
        yield part
        return
    calendar = calendar_of(asset_class_of(part.series.symbol))
    spans = calendar.spans(part.start_ns, part.end_ns)
    if spans:
        yield part._replace(start_ns=spans[0][0], end_ns=spans[-1][1])


def _done(request: HistoryRequest, running: Iterable[MissingSpan]) -> float:
    whole_ns = (request.end_ns - request.start_ns) * max(len(set(request.symbols)), 1)
    left_ns = sum(part.end_ns - part.start_ns for part in running)
    return 1.0 if not left_ns else max(min(1 - left_ns / max(whole_ns, left_ns), 0.99), 0.0)
