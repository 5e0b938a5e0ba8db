"""
Read-through: request missing history from ingest, each span once for all callers.

The bars come back through BULK_GRADED, with the span that is complete with them. A fetch ends when
this store has applied that span, so that the reply which follows contains the bars.
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
from lean_lite_store.storage.series import Series, Source, requested_feed

MAX_FETCHES = 256
MAX_DAYS = 7_500  # some twenty years in one request
REPLY_WAIT_S = 1.0
SLACK_S = 1.0
# Longer than another ingest needs to take over.
SILENT_S = 15.0
APPLY_S = 30.0
# Clients repeat a request every second: the outcome of a fetch is reused for this long.
REUSE_OUTCOME_S = 5.0
DAILY_S = 86_400


class MissingSpan(NamedTuple):
    """Span of a series that is not covered."""

    series: Series
    start_ns: int
    end_ns: int

    def is_within(self, other: "MissingSpan") -> bool:
        """Whether another span contains this one."""
        return (
            self.series == other.series
            and other.start_ns <= self.start_ns
            and self.end_ns <= other.end_ns
        )


class Outcome(NamedTuple):
    """How a fetch ended: why it failed, or from when on bars are not final yet."""

    failed: str
    until_ns: int
    at: float


class FetchResult(NamedTuple):
    """Share of a request that is done, and the gaps that remain."""

    done: float
    gaps: tuple[Gap, ...]


NOTHING_MISSING = FetchResult(1.0, ())


class ReadThrough:
    """Fetches what requests need and the store does not cover."""

    def __init__(self, bus: Bus, config: Config, coverage: Coverage) -> None:
        self._bus = bus
        self._alpaca = config.alpaca
        self._coverage = coverage
        self._fetches: dict[MissingSpan, asyncio.Task[None]] = {}
        self._outcomes: dict[MissingSpan, Outcome] = {}
        self._changed = asyncio.Event()

    def on_coverage_grown(self) -> None:
        """Wake the requests that wait for coverage."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def fetch_missing(self, request: HistoryRequest) -> FetchResult:
        """
        Fetch what is missing; returns when no fetch is running, or after `wait_s`.

        With `wait_s` 0 nothing is fetched. RequestError `too-large` for a span of more than
        `MAX_DAYS`; Busy while too many fetches are running.
        """
        _check_span(request)
        wait_s = request.wait_s or 0.0
        self._drop_old_outcomes()
        until = time.monotonic() + wait_s
        while True:
            changed = self._changed
            missing = list(self._missing(request))
            if wait_s:
                self._start_fetches(missing)
            running = [part for part in missing if self._is_running(part)]
            left_s = until - time.monotonic()
            if not running or left_s <= 0:
                return FetchResult(_share_done(request, running), tuple(self._gaps(missing)))
            await _wait_for_change(changed, left_s)

    async def stop(self) -> None:
        """Cancel the running fetches."""
        for task in list(self._fetches.values()):
            task.cancel()
        await asyncio.gather(*self._fetches.values(), return_exceptions=True)

    def _missing(self, request: HistoryRequest) -> Iterable[MissingSpan]:
        start_ns = request.start_ns // DAY_NS * DAY_NS
        end_ns = -(-request.end_ns // DAY_NS) * DAY_NS
        for symbol in dict.fromkeys(request.symbols):
            series = self._series(request, symbol)
            for begin_ns, stop_ns in self._coverage.missing(series, [(start_ns, end_ns)]):
                yield from _trim_to_trading(MissingSpan(series, begin_ns, stop_ns))

    def _series(self, request: HistoryRequest, symbol: str) -> Series:
        feed = requested_feed(request, symbol, self._alpaca)
        return Series(Source(feed, request.resolution_s, self._alpaca.simulated), symbol)

    def _start_fetches(self, missing: Iterable[MissingSpan]) -> None:
        for part in missing:
            if self._is_running(part) or self._outcome(part) is not None:
                continue
            if len(self._fetches) >= MAX_FETCHES:
                message = f"{MAX_FETCHES} fetches of history are running: try again"
                raise Busy(message)
            self._fetches[part] = asyncio.create_task(self._fetch(part))

    def _is_running(self, part: MissingSpan) -> bool:
        return any(part.is_within(job) for job in self._fetches)

    def _outcome(self, part: MissingSpan) -> Outcome | None:
        outcomes = self._outcomes.items()
        return next((outcome for job, outcome in outcomes if part.is_within(job)), None)

    def _gaps(self, missing: Iterable[MissingSpan]) -> Iterable[Gap]:
        for part in missing:
            outcome = self._outcome(part)
            end_ns = part.end_ns
            if self._is_running(part):
                reason = "it is still being fetched: try again, or wait longer"
            elif outcome is None:
                reason = "it was not fetched: request it with a time to wait"
            elif outcome.failed:
                reason = outcome.failed
            else:
                # Bars after that have not ended or are not final: that is no gap.
                end_ns = min(end_ns, outcome.until_ns)
                reason = "it was fetched, but did not arrive: try again"
            if part.start_ns < end_ns:
                yield Gap(part.series.symbol, part.start_ns, end_ns, reason)

    async def _fetch(self, part: MissingSpan) -> None:
        try:
            outcome = await self._backfill(part)
        except (BusUnavailable, RequestError, DecodeError) as error:
            outcome = Outcome(str(error), part.start_ns, time.monotonic())
        FETCHES.labels("failed" if outcome.failed else "fetched").inc()
        del self._fetches[part]
        self._outcomes[part] = outcome
        self.on_coverage_grown()

    async def _backfill(self, part: MissingSpan) -> Outcome:
        (source, symbol), start_ns, end_ns = part
        request = BackfillRequest(
            symbol, start_ns, end_ns, source.resolution_s, source.feed, wait_s=REPLY_WAIT_S
        )
        while not (reply := await self._request_backfill(request)).over:
            pass
        if not reply.failed:
            await self._wait_until_covered(part.series, start_ns, min(end_ns, reply.until_ns))
        return Outcome(reply.failed, reply.until_ns, time.monotonic())

    async def _request_backfill(self, request: BackfillRequest) -> BackfillReply:
        """Return ingest's reply; retried while another ingest may be taking over."""
        return await retry(
            lambda: request_reply(
                self._bus, BACKFILL, request, BackfillReply, timeout_s=REPLY_WAIT_S + SLACK_S
            ),
            (Busy, BusUnavailable),
            limit_s=SILENT_S,
        )

    async def _wait_until_covered(self, series: Series, start_ns: int, end_ns: int) -> None:
        """Wait until the span is covered, at most `APPLY_S`: what is missing then is a gap."""
        until = time.monotonic() + APPLY_S
        while start_ns < end_ns and time.monotonic() < until:
            changed = self._changed
            missing = self._coverage.missing(series, [(start_ns, end_ns)])
            if not any(
                True for part in missing for _ in _trim_to_trading(MissingSpan(series, *part))
            ):
                return
            await _wait_for_change(changed, REPLY_WAIT_S)

    def _drop_old_outcomes(self) -> None:
        since = time.monotonic() - REUSE_OUTCOME_S
        self._outcomes = {job: out for job, out in self._outcomes.items() if out.at > since}


async def _wait_for_change(changed: asyncio.Event, limit_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            await changed.wait()


def _check_span(request: HistoryRequest) -> None:
    if request.end_ns - request.start_ns > MAX_DAYS * DAY_NS:
        code = "too-large"
        message = f"a request may span {MAX_DAYS} days: request a shorter span"
        raise RequestError(code, message)


def _trim_to_trading(part: MissingSpan) -> Iterable[MissingSpan]:
    """Yield the span without the nights at its ends; nothing when there was no trading."""
    if part.series.source.resolution_s >= DAILY_S:
        yield part
        return
    calendar = calendar_of(asset_class_of(part.series.symbol))
    spans = calendar.spans(part.start_ns, part.end_ns)
    if spans:
        yield part._replace(start_ns=spans[0][0], end_ns=spans[-1][1])


def _share_done(request: HistoryRequest, running: Iterable[MissingSpan]) -> float:
    whole_ns = (request.end_ns - request.start_ns) * max(len(set(request.symbols)), 1)
    left_ns = sum(part.end_ns - part.start_ns for part in running)
    return 1.0 if not left_ns else max(min(1 - left_ns / max(whole_ns, left_ns), 0.99), 0.0)
