"""
Dispatcher: from the queue of live bars to the callbacks, with metrics and grades.

Graded bars of all subscribed symbols share one queue. A callback that blocks makes the dispatcher
wait, a full queue makes the streams wait, and further bars stay in the store until there is room.
INVALID bars are in no stream: they are passed to `dispatch` as they arrive.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from lean_lite.data.bars import Bars
from lean_lite.data.dispatch.callbacks import Callbacks
from lean_lite.data.dispatch.mailbox import BarUpdate, UpdateSource
from lean_lite.data.feed import DataFeed
from lean_lite.data.live.queue import BarQueue
from lean_lite.data.metrics import DataMetrics
from lean_lite.data.reports.grade_log import GradeLog
from lean_lite.errors import RequestError
from lean_lite.model import DataQualityLevel
from lean_lite.model.timestamps import SECOND_NS
from lean_lite.protocol.live import LiveBar

# Bars that are counted and dispatched together: enough to spread the cost of a batch, few enough
# that the first of them is not late.
BATCH = 256

# Called with symbol, start and end in nanoseconds of a bar that was corrected or came late.
OnCorrection = Callable[[str, int, int], None]

log = logging.getLogger(__name__)


class DispatchedSymbol(msgspec.Struct):
    """State of one symbol whose bars are dispatched."""

    source: UpdateSource
    grades: GradeLog
    feed: DataFeed | None
    newest_ns: int


class Dispatcher:
    """
    Dispatches live records to the callbacks; counts and grades those of its symbols.

    Args:
        metrics: counts records, grades, latencies and errors.
        on_correction: called for each record that changes history, before the callbacks.
    """

    def __init__(self, metrics: DataMetrics, on_correction: OnCorrection | None = None) -> None:
        self.metrics = metrics
        self.callbacks = Callbacks()
        self.queue = BarQueue()
        self._on_correction = on_correction
        self._symbols: dict[str, DispatchedSymbol] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Dispatch in the background, from an empty queue."""
        self.queue = BarQueue()
        self._task = asyncio.create_task(self.run(), name="dispatcher")

    async def stop(self) -> None:
        """Stop dispatching, then the callbacks; does nothing if it is not started."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await self.callbacks.stop()

    async def run(self) -> None:
        """Dispatch from the queue until cancelled; an error is logged and counted."""
        while True:
            records = await self.queue.get(min(max(self.callbacks.room, 1), BATCH))
            # Sources are looked up before waiting for room. If a symbol is unsubscribed during the
            # wait, its source is marked as stopped, and its updates are dropped.
            updates = [
                (symbol.source, record)
                for record in records
                if (symbol := self._symbols.get(record.symbol)) is not None
            ]
            try:
                await self.dispatch_all(updates)
            except Exception:
                # One batch that fails must not stop the bars after it.
                self.metrics.increment_errors()
                log.exception("a batch of %d bars could not be dispatched", len(updates))
            if len(self.queue):
                # The code above never suspends while there are bars and room: let callbacks run.
                await asyncio.sleep(0)

    def add_symbol(
        self,
        symbol: str,
        source: UpdateSource,
        stored: Bars,
        since_ns: int = 0,
        *,
        feed: DataFeed | None = None,
    ) -> None:
        """
        Dispatch and grade a symbol's bars from now on.

        Args:
            symbol: the symbol.
            source: the subscription that its bars come from.
            stored: bars of the store, whose grades a report starts with.
            since_ns: start of the span that `stored` covers, in nanoseconds since 1970 (UTC).
            feed: feed object whose buffer and metrics get the bars, if ingest publishes them.
        """
        grades = GradeLog(symbol)
        grades.seed(stored, since_ns)
        newest_ns = int(stored.block["start_ns"].max()) if len(stored) else 0
        self._symbols[symbol] = DispatchedSymbol(source, grades, feed, newest_ns)

    def remove_symbol(self, symbol: str) -> None:
        """Stop dispatching a symbol and discard its grades; an unknown one is ignored."""
        self._symbols.pop(symbol, None)

    def newest_ns(self, symbol: str) -> int:
        """Return the start of a symbol's newest bar that is not INVALID, in nanoseconds; or 0."""
        state = self._symbols.get(symbol)
        return 0 if state is None else state.newest_ns

    async def dispatch(self, source: UpdateSource, record: LiveBar) -> None:
        """Dispatch one record; waits while a callback that blocks is full."""
        await self.dispatch_all([(source, record)])

    async def dispatch_all(self, records: Sequence[tuple[UpdateSource, LiveBar]]) -> None:
        """Dispatch records in order, each with the subscription that it comes from."""
        for update in self._updates(records):
            await self.callbacks.put(update)

    def report(self, symbol: str, hours: float) -> dict[str, Any]:
        """
        Report the grades of a symbol's last hours, as `GradeLog.report`.

        Raises:
            RequestError: `unknown-symbol`, the symbol is not subscribed.
        """
        state = self._symbols.get(symbol)
        if state is None:
            known = ", ".join(sorted(self._symbols)) or "none"
            message = (
                f"{symbol} is not subscribed (subscribed: {known}): subscribe to it first, or call "
                "`await engine.quality_report(symbol, start, end)`"
            )
            raise RequestError("unknown-symbol", message)
        return state.grades.report(hours)

    def to_dict(self, symbols: Sequence[str]) -> dict[str, Any]:
        """Return metrics of the dispatcher, with the symbols that are subscribed."""
        figures = self.metrics.to_dict()
        return {
            **figures,
            "error_count": figures["error_count"] + self.callbacks.failed,
            "waiting": len(self.queue),
            "symbols": list(symbols),
        }

    def _updates(self, records: Sequence[tuple[UpdateSource, LiveBar]]) -> list[BarUpdate]:
        """Convert records to updates; one that can't be converted is counted as an error."""
        updates, readable = [], []
        for source, record in records:
            try:
                updates.append(self._update(source, record))
            except Exception:
                # An unknown grade, a time out of range, or a feed object that raises.
                self.metrics.increment_errors()
                log.exception("a live record of %s is invalid: %r", record.symbol, record)
            else:
                readable.append(record)
        self._count(readable)
        return updates

    def _count(self, records: Sequence[LiveBar]) -> None:
        self.metrics.increment_messages(len(records))
        for level, count in Counter([record.level for record in records]).items():
            self.metrics.record_quality(DataQualityLevel.from_code(level), count)
        now_ns = time.time_ns()
        punctual = [record for record in records if record.wall_ns and not record.late]
        self.metrics.update_latencies([(now_ns - record.wall_ns) / 1e6 for record in punctual])

    def _update(self, source: UpdateSource, record: LiveBar) -> BarUpdate:
        quality, bar = record.quality, record.bar()
        state = self._symbols.get(record.symbol)
        if state is not None:
            state.grades.add(record)
        if quality is not DataQualityLevel.INVALID:
            if state is not None:
                if state.feed is not None:
                    state.feed.count_bar(bar)
                state.newest_ns = max(state.newest_ns, record.start_ns)
            if record.late and self._on_correction is not None:
                end_ns = record.start_ns + record.resolution_s * SECOND_NS
                self._on_correction(record.symbol, record.start_ns, end_ns)
        return BarUpdate(record.symbol, bar, quality, source)
