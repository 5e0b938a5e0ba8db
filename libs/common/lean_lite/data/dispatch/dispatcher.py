"""What becomes of every record that an engine gets: counted, kept, handed to the callbacks."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from weakref import WeakSet

from lean_lite.data.bars import Bars
from lean_lite.data.cache import DataCache
from lean_lite.data.dispatch.callbacks import Callbacks
from lean_lite.data.dispatch.mailbox import BarUpdate, UpdateSource
from lean_lite.data.feed import DataFeed
from lean_lite.data.history.query import HistoryQuery
from lean_lite.data.live.queue import BarQueue
from lean_lite.data.metrics import DataMetrics
from lean_lite.data.reports.grade_log import GradeLog
from lean_lite.errors import RequestError
from lean_lite.model import DataQualityLevel, Resolution
from lean_lite.model.timestamps import SECOND_NS, from_ns
from lean_lite.protocol.live import LiveBar

END_NS = 2**62

log = logging.getLogger(__name__)


class Heard:
    """Tell of a span that is asked for: whether it was over then, and is as it was since."""

    def __init__(self, asked: HistoryQuery, newest_ns: int) -> None:
        """Begin now."""
        self._asked = asked
        self.is_settled = asked.settled_ns <= newest_ns
        self.is_current = True

    def revise(self, symbol: str, start_ns: int, end_ns: int) -> None:
        """Hear that a part of the symbol has changed."""
        request = self._asked.request
        if symbol == self._asked.symbol and start_ns < request.end_ns and request.start_ns < end_ns:
            self.is_current = False


class Dispatcher:
    """Take records in; keep figures and grades of the subscribed symbols."""

    def __init__(self, cache: DataCache | None) -> None:
        """Start with no symbol."""
        self._cache = cache
        self._logs: dict[str, GradeLog] = {}
        self._handles: dict[str, DataFeed] = {}
        # Feeds whose history was kept since a symbol began, and whether they are simulated.
        self._sources: dict[str, set[tuple[str, bool]]] = {}
        self._heard = WeakSet[Heard]()
        self._newest_ns: dict[str, int] = {}
        self.callbacks = Callbacks()
        self.metrics = DataMetrics()

    def begin(self, symbol: str, handle: DataFeed | None, known: Bars, since_ns: int = 0) -> None:
        """
        Keep the grades of a symbol, beginning with those of stored bars, known since an instant.

        `handle` is a feed whose bars come from elsewhere and are counted here. Its revisions are
        heard from now on: what was cached before is let go of.
        """
        self._forget(symbol)
        self._newest_ns[symbol] = int(known.block["start_ns"].max()) if len(known) else 0
        self._logs[symbol] = GradeLog(symbol)
        self._logs[symbol].seed(known, since_ns)
        if handle is not None:
            self._handles[symbol] = handle

    def end(self, symbol: str) -> None:
        """Forget a symbol; without its revisions nothing cached of it can be trusted."""
        self._logs.pop(symbol, None)
        self._handles.pop(symbol, None)
        self._newest_ns.pop(symbol, None)
        self._forget(symbol)

    async def take(self, source: UpdateSource, record: LiveBar) -> None:
        """Take one record."""
        await self.take_all([(source, record)])

    async def take_all(self, arrivals: Sequence[tuple[UpdateSource, LiveBar]]) -> None:
        """Take records in order, each with where it came from."""
        for update in self._updates(arrivals):
            await self.callbacks.put(update)

    def heard(self, asked: HistoryQuery) -> Heard | None:
        """Note from now on what is heard of a span; None when nothing of it is cached."""
        newest_ns = self._newest_ns.get(asked.symbol)
        if self._cache is None or newest_ns is None:
            return None
        heard = Heard(asked, newest_ns)
        self._heard.add(heard)
        return heard

    async def cached(self, asked: HistoryQuery) -> Bars | None:
        """Return history that was kept since the symbol began; None when there is none."""
        if self._cache is None or asked.symbol not in self._logs:
            return None
        found = None
        if sources := self._sources.get(asked.symbol):
            found = await asyncio.to_thread(self._cache.get, *_name(asked))
            # Engines of other feeds, or of a simulated market, may share the folder.
            if found is not None and _source(found) not in sources:
                found = None
        self.metrics.record_cache(found is not None)
        return found

    async def keep(self, asked: HistoryQuery, bars: Bars, heard: Heard | None) -> None:
        """
        Keep history that is whole, of a symbol whose revisions are heard.

        `heard` is from before it was asked for. Nothing tells whose history no bars are: it is not
        kept.
        """
        # Bars come in order: what is older than the newest one is only changed by late ones.
        is_due = heard is not None and heard.is_settled and heard.is_current
        if self._cache is None or heard is None or not is_due or bars.gaps or not len(bars):
            return
        self._sources.setdefault(asked.symbol, set()).add(_source(bars))
        await asyncio.to_thread(
            self._cache.put, *_name(asked), bars, wanted=lambda: heard.is_current
        )

    def report(self, symbol: str, hours: float) -> dict[str, Any]:
        """Return the grades of the last hours; RequestError when the symbol is not subscribed."""
        if symbol not in self._logs:
            known = ", ".join(sorted(self._logs)) or "none"
            message = (
                f"{symbol} is not subscribed (subscribed: {known}): subscribe it first, or ask "
                "`await engine.quality_report(symbol, start, end)`"
            )
            raise RequestError("unknown-symbol", message)
        return self._logs[symbol].report(hours)

    def to_dict(self, *, waiting: int, symbols: Sequence[str]) -> dict[str, Any]:
        """Return the figures of the engine."""
        figures = self.metrics.to_dict()
        return {
            **figures,
            "error_count": figures["error_count"] + self.callbacks.failed,
            "waiting": waiting,
            "symbols": list(symbols),
        }

    def _forget(self, symbol: str) -> None:
        """Let go of all that is cached of a symbol, or is about to be."""
        self._sources.pop(symbol, None)
        self._revise(symbol, 0, END_NS)

    def _revise(self, symbol: str, start_ns: int, end_ns: int) -> None:
        """Let go of what is cached of a span, or is about to be."""
        for heard in self._heard:
            heard.revise(symbol, start_ns, end_ns)
        if self._cache is not None:
            self._cache.invalidate(symbol, from_ns(start_ns), from_ns(end_ns))

    def _updates(self, arrivals: Sequence[tuple[UpdateSource, LiveBar]]) -> list[BarUpdate]:
        """Return what the callbacks are called with; what makes no bar is counted as an error."""
        updates, records = [], []
        for source, record in arrivals:
            try:
                updates.append(self._update(source, record))
            except Exception:
                # A grade or a time that there is not, or a feed that raises: it harms no other.
                self.metrics.increment_errors()
                log.exception("live.unreadable", extra={"record": record})
            else:
                records.append(record)
        self._count(records)
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
        if (log := self._logs.get(record.symbol)) is not None:
            log.add(record)
        if quality is not DataQualityLevel.INVALID:
            if (feed := self._handles.get(record.symbol)) is not None:
                feed.count_bar(bar)
            if (newest_ns := self._newest_ns.get(record.symbol)) is not None:
                self._newest_ns[record.symbol] = max(newest_ns, record.start_ns)
            if record.late:
                end_ns = record.start_ns + record.resolution_s * SECOND_NS
                self._revise(record.symbol, record.start_ns, end_ns)
        return BarUpdate(record.symbol, bar, quality, source)


def _name(asked: HistoryQuery) -> tuple[str, Resolution, datetime, datetime]:
    """Return what a cache knows it by: longer bars reach from bucket to bucket."""
    request = asked.request
    return asked.symbol, asked.resolution, from_ns(request.start_ns), from_ns(request.end_ns)


def _source(bars: Bars) -> tuple[str, bool]:
    return bars.block.feed, bars.block.simulated


TOGETHER = 256
log = logging.getLogger(__name__)


class Pump:
    """Hand bars from `queue` to the intake, as many together as the callbacks have room for."""

    def __init__(self, following: Mapping[str, UpdateSource], intake: Dispatcher) -> None:
        """Do nothing before `start`; `following` is by symbol."""
        self._following = following
        self._intake = intake
        self._work: asyncio.Task[None] | None = None
        self.queue = BarQueue()

    def start(self) -> None:
        """Hand on in the background, from an empty queue."""
        self.queue = BarQueue()
        self._work = asyncio.create_task(self._run(), name="pump")

    async def stop(self) -> None:
        """Hand on no more."""
        work, self._work = self._work, None
        if work is not None:
            work.cancel()
            await asyncio.wait([work])

    async def _run(self) -> None:
        while True:
            room = self._intake.callbacks.room
            records = await self.queue.get(min(max(room, 1), TOGETHER))
            # Whoever is unsubscribed while we wait for room keeps its bars from the callbacks.
            sources = [self._following.get(record.symbol) for record in records]
            arrivals = [(s, r) for s, r in zip(sources, records, strict=True) if s is not None]
            try:
                await self._intake.take_all(arrivals)
            except Exception:
                # Whatever it is, the bars behind these must come.
                self._intake.metrics.increment_errors()
                log.exception("pump.failed", extra={"bars": len(arrivals)})
            if len(self.queue):
                # Nothing above need wait: the callbacks have their turn before there is more.
                await asyncio.sleep(0)
