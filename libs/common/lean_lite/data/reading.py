"""
History and live bars as one: no gap between them, and no bar twice.

A reading first follows live and only then asks for history: each page of history is one snapshot of
the store and says up to which GRADED frame of every lane it goes. A live record is handed over only
above that, so the two fit whatever happens in between.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from itertools import chain
from typing import Literal, get_args

from lean_lite.algorithm.data_models import NS_PER_S
from lean_lite.data.final import Final
from lean_lite.data.handover import Handover
from lean_lite.data.history import Snapshot
from lean_lite.data.known import Known
from lean_lite.data.live import Live
from lean_lite.data.resume import Resume
from lean_lite.messages import Bookmark, Gap, LiveBar, Taken, live_bars
from lean_lite.subjects import lane_of

Revisions = Literal["first", "final", "all"]

READY = 1_024
# Corrections and refills reach back one trading day; what is older is history.
KEYS_KEPT = 4_320
# A resumed reader looks back so far to know which bars it had: over a long weekend.
LOOK_BACK_NS = 7 * 86_400 * NS_PER_S

Begin = Callable[[Mapping[str, int] | None], Awaitable[Live]]
Pages = Callable[[int], AsyncIterator[Snapshot]]


class Reading:
    """
    Read the bars of some symbols ahead of who takes them, within a bound.

    `begin` starts the live stream, behind given frames; `pages` yields history from a moment on.
    """

    def __init__(
        self,
        begin: Begin,
        pages: Pages,
        since_ns: int | None,
        revisions: Revisions,
        resume: Resume | None,
    ) -> None:
        """Ask for nothing before `run`; ValueError for other revisions."""
        if revisions not in get_args(Revisions):
            message = f"revisions are {', '.join(get_args(Revisions))}, not {revisions!r}"
            raise ValueError(message)
        self._begin = begin
        self._pages = pages
        self._since_ns = since_ns
        self._revisions = revisions
        self._resume = resume
        self._known = Known(KEYS_KEPT)
        self._final = Final()
        self._ready: Handover[LiveBar] = Handover(READY)
        self._past = 0  # bars of history that are not done yet
        self._in_hand: LiveBar | None = None
        self._done: list[Taken] = []  # since `mark`, and of frames that are not done as a whole
        self._live: Live | None = None
        self._through: dict[str, int] = {}
        self._last: dict[str, int] = {}
        self._whole: dict[str, int] = {}
        self.gaps: list[Gap] = []

    async def run(self) -> None:
        """Read until cancelled, or until live ends; an error goes to who takes."""
        error: Exception | None = None
        try:
            async with aclosing(self._records()) as records:
                async for record in records:
                    await self._ready.put(record)
        except Exception as failure:  # noqa: BLE001 - `take` raises it
            error = failure
        finally:
            self._ready.close(error)
            if self._live is not None:
                await self._live.stop()

    async def take(self) -> LiveBar:
        """
        Return the next bar; the one before counts as done. StopAsyncIteration at the end.

        A durable name goes on behind what is done, which is written once a second.
        """
        if self._in_hand is not None:
            self._finish(self._in_hand)
            self._in_hand = None
            if self._resume is not None and self._resume.due:
                await self.mark()
        self._in_hand = await self._ready.take()
        return self._in_hand

    def _finish(self, record: LiveBar) -> None:
        """Note that a bar has been dealt with."""
        if self._past:
            self._past -= 1
        elif self._resume is not None:
            self._done.append(Taken(record.symbol, record.start_ns, record.seq))

    async def mark(self) -> None:
        """Write what is done under the durable name, once all of history is."""
        if self._resume is None or self._live is None or not self._whole or self._past:
            return
        frontier = self._frontier(self._live)
        self._done = [one for one in self._done if one.seq > frontier.get(_lane(one), 0)]
        await self._resume.done(frontier, self._done)

    async def _records(self) -> AsyncGenerator[LiveBar]:
        bookmark = None if self._resume is None else await self._resume.load()
        self._live = live = await self._begin(None if bookmark is None else bookmark.done)
        if bookmark is not None:
            await self._recall(bookmark)
        elif self._since_ns is not None:
            async for record in self._history(self._since_ns):
                self._past += 1
                yield record
        self._whole = dict(self._through or live.done)
        newer = self._newer(live)
        async with aclosing(self._final.of(newer) if self._revisions == "final" else newer) as due:
            async for record in due:
                if self._is_due(record):
                    yield record

    async def _history(self, since_ns: int) -> AsyncIterator[LiveBar]:
        """Yield what is stored, and remember up to which frame of each lane that goes."""
        async for snapshot in self._pages(since_ns):
            self.gaps += snapshot.gaps
            for lane, seq in snapshot.through.items():
                self._through[lane] = min(self._through.get(lane, seq), seq)
            for record in _by_start(snapshot):
                if self._known.add(record):
                    yield record

    async def _recall(self, bookmark: Bookmark) -> None:
        """Learn which bars were taken before the restart."""
        self._through = after = bookmark.done
        self._done = list(bookmark.beyond)
        for taken in bookmark.beyond:
            self._known.add(taken)
        since_ns = max(self._since_ns or 0, time.time_ns() - LOOK_BACK_NS)
        async for snapshot in self._pages(since_ns):
            for record in _by_start(snapshot):
                if record.seq <= after.get(_lane(record), 0):
                    self._known.add(record)

    async def _newer(self, live: Live) -> AsyncGenerator[LiveBar]:
        """Yield live records, and remember which frames were read whole."""
        async for record in live:
            lane = _lane(record)
            before = self._last.get(lane, 0)
            if before < record.seq:
                self._whole[lane] = max(before, self._whole.get(lane, 0))
                self._last[lane] = record.seq
            yield record

    def _is_due(self, record: LiveBar) -> bool:
        lane = _lane(record)
        if record.start_ns < (self._since_ns or 0) or record.seq <= self._through.get(lane, 0):
            return False
        new = self._known.add(record)
        return new or (self._revisions == "all" and self._known.revise(record))

    def _frontier(self, live: Live) -> dict[str, int]:
        """Return the last frame of each lane of which nothing is left to be done."""
        frontier = dict(self._whole) if live.behind else live.done
        in_hand = () if self._in_hand is None else (self._in_hand,)
        for record in chain(in_hand, self._ready, self._final):
            lane = _lane(record)
            frontier[lane] = min(frontier.get(lane, record.seq), record.seq - 1)
        return frontier


def _lane(record: LiveBar | Taken) -> str:
    return str(lane_of(record.symbol))


def _by_start(snapshot: Snapshot) -> list[LiveBar]:
    """Return the rows of all symbols in order of start."""
    records = [bar for block in snapshot.blocks for bar in live_bars(block)]
    records.sort(key=lambda bar: bar.start_ns)
    return records
