"""
History and live bars as one: no gap between them, and no bar twice.

A reading first follows live and only then asks for history: each page of history is one snapshot of
the store and says up to which GRADED frame of every lane it goes. A live record is handed over only
above that, so the two fit whatever happens in between.
"""

import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
)
from contextlib import aclosing
from itertools import chain
from typing import Literal, get_args

from lean_lite.data.history.client import HistorySnapshot
from lean_lite.data.live import Live
from lean_lite.data.streams.bookmarks import BookmarkStore
from lean_lite.data.streams.corrections import CorrectionHold
from lean_lite.data.streams.deduplicator import Deduplicator
from lean_lite.data.streams.start_positions import StartPositions, lane_name
from lean_lite.model.timestamps import SECOND_NS
from lean_lite.protocol.bookmark import Bookmark, DeliveredBar
from lean_lite.protocol.history import Gap
from lean_lite.protocol.live import LiveBar, live_bars
from lean_lite.queues import BoundedQueue

Revisions = Literal["first", "final", "all"]

READY = 1_024
# Corrections and refills reach back one trading day; what is older is history.
KEYS_KEPT = 4_320
# A resumed reader looks back so far to know which bars it had: over a long weekend.
LOOK_BACK_NS = 7 * 86_400 * SECOND_NS

OpenLive = Callable[[Mapping[str, int] | None], Awaitable[Live]]
ReadPages = Callable[[Iterable[str], int, Mapping[str, int]], AsyncIterator[HistorySnapshot]]


class BarReader:
    """
    Read the bars of some symbols ahead of who takes them, within a bound.

    `begin` starts the live stream, behind given frames; `pages` yields history of some of the
    symbols from a moment on, up to given frames at least.
    """

    def __init__(
        self,
        begin: OpenLive,
        pages: ReadPages,
        places: StartPositions,
        revisions: Revisions,
        resume: BookmarkStore | None,
    ) -> None:
        """Ask for nothing before `run`; ValueError for other revisions."""
        if revisions not in get_args(Revisions):
            message = f"revisions are {', '.join(get_args(Revisions))}, not {revisions!r}"
            raise ValueError(message)
        self._begin = begin
        self._pages = pages
        self._places = places
        self._revisions = revisions
        self._resume = resume
        self._known = Deduplicator(KEYS_KEPT)
        self._final = CorrectionHold()
        self._ready: BoundedQueue[LiveBar] = BoundedQueue(READY)
        self._unqueued: LiveBar | None = None  # waits for room in the queue
        self._past = 0  # bars of history that are not done yet
        self._in_hand: LiveBar | None = None
        self._done: list[
            DeliveredBar
        ] = []  # since `mark`, and of frames that are not done as a whole
        self._live: Live | None = None
        self._last: dict[str, int] = {}
        self._whole: dict[str, int] = {}
        self.gaps: list[Gap] = []

    async def run(self) -> None:
        """Read until cancelled, or until live ends; an error goes to who takes."""
        error: Exception | None = None
        try:
            async with aclosing(self._records()) as records:
                async for record in records:
                    self._unqueued = record
                    await self._ready.put(record)
                    self._unqueued = None
        except Exception as failure:  # noqa: BLE001 - `take` raises it
            error = failure
        finally:
            self._ready.close(error)
            if self._live is not None:
                await self._live.stop()

    async def get(self) -> LiveBar:
        """
        Return the next bar; the one before counts as done. StopAsyncIteration at the end.

        A durable name goes on behind what is done, which is written once a second.
        """
        if self._in_hand is not None:
            self._finish(self._in_hand)
            self._in_hand = None
            if self._resume is not None and self._resume.due:
                await self.save_bookmark()
        self._in_hand = await self._ready.get()
        return self._in_hand

    def _finish(self, record: LiveBar) -> None:
        """Note that a bar has been dealt with."""
        if self._past:
            self._past -= 1
        elif self._resume is not None:
            self._done.append(DeliveredBar(record.symbol, record.start_ns, record.seq))

    async def save_bookmark(self) -> None:
        """Write what is done under the durable name, once all of history is."""
        if self._resume is None or self._live is None or not self._whole or self._past:
            return
        frontier = self._frontier(self._live)
        self._done = [one for one in self._done if one.seq > frontier.get(lane_name(one.symbol), 0)]
        await self._resume.save(frontier, self._done, self._places.joined)

    async def _records(self) -> AsyncGenerator[LiveBar]:
        places = self._places
        found = None if self._resume is None else await self._resume.load()
        after = None if found is None else places.resume(*found)
        self._live = live = await self._begin(after)
        if found is not None:
            await self._restore_delivered(found.bookmark, live)
        if places.new and places.since_ns is not None:
            async for record in self._history_left(places.since_ns, live):
                self._past += 1
                yield record
        else:
            places.join(live.baseline if found is None else found.ends)
        self._whole = dict(live.baseline)
        newer = self._live_left(live)
        async with aclosing(
            self._final.hold(newer) if self._revisions == "final" else newer
        ) as due:
            async for record in due:
                if self._is_due(record):
                    yield record

    async def _history_left(self, since_ns: int, live: Live) -> AsyncIterator[LiveBar]:
        """Yield what is stored of new symbols, and let them go on behind that."""
        through = dict[str, int]()
        async for snapshot in self._pages(self._places.new, since_ns, live.baseline):
            self.gaps += snapshot.gaps
            for lane in live.baseline:
                seq = snapshot.through.get(lane, 0)
                through[lane] = min(through.get(lane, seq), seq)
            for record in _by_start(snapshot):
                if self._known.is_new(record):
                    yield record
        self._places.join(through or live.baseline)

    async def _restore_delivered(self, bookmark: Bookmark, live: Live) -> None:
        """Learn which bars were taken before the restart."""
        joined = self._places.joined
        if not joined:
            return
        self._done = [taken for taken in bookmark.beyond if taken.symbol in joined]
        for taken in self._done:
            self._known.is_new(taken)
        earliest_ns = min(start_ns for _, start_ns in joined.values())
        since_ns = max(earliest_ns, time.time_ns() - LOOK_BACK_NS)
        async for snapshot in self._pages(joined, since_ns, live.baseline):
            for record in _by_start(snapshot):
                if self._places.was_delivered(record):
                    self._known.is_new(record)

    async def _live_left(self, live: Live) -> AsyncGenerator[LiveBar]:
        """Yield the live records that count, and remember which frames were read whole."""
        async for record in live:
            lane = lane_name(record.symbol)
            before = self._last.get(lane, 0)
            if before < record.seq:
                self._whole[lane] = max(before, self._whole.get(lane, 0))
                self._last[lane] = record.seq
            if self._places.includes(record):
                yield record

    def _is_due(self, record: LiveBar) -> bool:
        new = self._known.is_new(record)
        return new or (self._revisions == "all" and self._known.is_newer_version(record))

    def _frontier(self, live: Live) -> dict[str, int]:
        """Return the last frame of each lane of which nothing is left to be done."""
        frontier = dict(self._whole) if live.behind else live.done
        for record in chain((self._in_hand, self._unqueued), self._ready, self._final):
            if record is None:
                continue
            lane = lane_name(record.symbol)
            frontier[lane] = min(frontier.get(lane, record.seq), record.seq - 1)
        return frontier


def _by_start(snapshot: HistorySnapshot) -> list[LiveBar]:
    """Return the rows of all symbols in order of start."""
    records = [bar for block in snapshot.blocks for bar in live_bars(block)]
    records.sort(key=lambda bar: bar.start_ns)
    return records
