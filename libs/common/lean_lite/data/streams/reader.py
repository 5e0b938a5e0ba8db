"""BarReader: join history and live bars of a stream, without gap or duplicate."""

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

# Bars that are read ahead of the consumer. A consumer that is cancelled while it waits loses none,
# because the reading task continues.
PREFETCH = 1_024
# Bars that the deduplicator remembers per symbol: three days of minutes. Corrections and refills
# reach back one trading day; what is older comes from history only.
REMEMBERED = 4_320
# How far a resumed reader looks back to learn which bars it has delivered: over a long weekend.
LOOK_BACK_NS = 7 * 86_400 * SECOND_NS

OpenLive = Callable[[Mapping[str, int] | None], Awaitable[Live]]
ReadPages = Callable[[Iterable[str], int, Mapping[str, int]], AsyncIterator[HistorySnapshot]]


class BarReader:
    """
    Bars of some symbols, read ahead of their consumer within a bound.

    How history and live bars are joined:

    1. Subscribe first. The live stream is started, and its `baseline` is the last GRADED sequence
       of each lane at that time. Every later record of the lane arrives live; records wait.
    2. Snapshot second. History is read in pages, each a snapshot of the store that includes at
       least the baseline (`min_seq`) and names the sequence `through` that it includes. So there
       is no gap between history and live.
    3. Deliver above the snapshot. The symbols join their lanes at the lowest `through` of all
       pages: a live record up to that sequence is part of history and is dropped. Records above
       it that a later page has included already are dropped by the deduplicator, so there is no
       duplicate.

    With a bookmark, symbols that it has resume behind its frames: the live stream is opened there
    and fetches from the store what was published since. The bars that were delivered before the
    restart are first read from history into the deduplicator. New symbols join as above.

    A bar counts as processed when the next one is requested. The bookmark's `frontier` is the last
    frame of each lane of which nothing is left to be processed: not in the live queue, not held
    for its correction, not prefetched, not being processed by the consumer. Bars of later frames
    that have been processed are listed in the bookmark's `beyond`.

    Args:
        open_live: starts the live stream, after sequences of lanes or at their ends.
        read_pages: yields history of symbols from a time on, up to sequences of lanes at least.
        positions: start positions of the symbols.
        revisions: `first`, `final` or `all`, see `BarStream`.
        bookmarks: the bookmark of a durable name.

    Attributes:
        gaps: spans of history that could not be fetched so far.

    Raises:
        ValueError: `revisions` is invalid.
    """

    def __init__(
        self,
        open_live: OpenLive,
        read_pages: ReadPages,
        positions: StartPositions,
        revisions: Revisions,
        bookmarks: BookmarkStore | None,
    ) -> None:
        if revisions not in get_args(Revisions):
            message = (
                f"invalid revisions {revisions!r}: use one of {', '.join(get_args(Revisions))}"
            )
            raise ValueError(message)
        self._open_live = open_live
        self._read_pages = read_pages
        self._positions = positions
        self._revisions = revisions
        self._bookmarks = bookmarks
        self._deduplicator = Deduplicator(REMEMBERED)
        self._hold = CorrectionHold()
        self._ready: BoundedQueue[LiveBar] = BoundedQueue(PREFETCH)
        self._unqueued: LiveBar | None = None  # waits for room in the queue
        self._live: Live | None = None
        self._current: LiveBar | None = None  # being processed by the consumer
        self._history_left = 0  # bars of history that have been read and not processed
        # Processed bars since the last save, and those of frames beyond the frontier.
        self._processed: list[DeliveredBar] = []
        # By lane: the frame that is being read, and the last one that has been read completely.
        self._reading_seq: dict[str, int] = {}
        self._read_seq: dict[str, int] = {}
        self.gaps: list[Gap] = []

    async def run(self) -> None:
        """Read until cancelled or until the live stream ends; `get` raises any error."""
        error: Exception | None = None
        try:
            async with aclosing(self._records()) as records:
                async for record in records:
                    self._unqueued = record
                    await self._ready.put(record)
                    self._unqueued = None
        except Exception as failure:  # noqa: BLE001 - `get` raises it
            error = failure
        finally:
            self._ready.close(error)
            if self._live is not None:
                await self._live.stop()

    async def get(self) -> LiveBar:
        """
        Return the next bar; the one before then counts as processed.

        Raises:
            StopAsyncIteration: the live stream has ended.
            RequestError: another reader uses the durable name.
        """
        if self._current is not None:
            self._count_processed(self._current)
            self._current = None
            if self._bookmarks is not None and self._bookmarks.due:
                await self.save_bookmark()
        self._current = await self._ready.get()
        return self._current

    def _count_processed(self, record: LiveBar) -> None:
        if self._history_left:
            self._history_left -= 1
        elif self._bookmarks is not None:
            self._processed.append(DeliveredBar(record.symbol, record.start_ns, record.seq))

    async def save_bookmark(self) -> None:
        """
        Save what has been processed under the durable name, if there is one.

        History counts only when all of it has been processed: bars of several symbols have no
        order that a sequence could describe, so a reader that stops before starts over.
        """
        if (
            self._bookmarks is None
            or self._live is None
            or not self._read_seq
            or self._history_left
        ):
            return
        frontier = self._frontier(self._live)
        self._processed = [
            bar for bar in self._processed if bar.seq > frontier.get(lane_name(bar.symbol), 0)
        ]
        await self._bookmarks.save(frontier, self._processed, self._positions.joined)

    async def _records(self) -> AsyncGenerator[LiveBar]:
        """Yield history, then live records that are due."""
        positions = self._positions
        found = None if self._bookmarks is None else await self._bookmarks.load()
        after = None if found is None else positions.resume(*found)
        self._live = live = await self._open_live(after)
        if found is not None:
            await self._restore_delivered(found.bookmark, live)
        if positions.new and positions.since_ns is not None:
            async for record in self._history(positions.since_ns, live):
                self._history_left += 1
                yield record
        else:
            positions.join(live.baseline if found is None else found.ends)
        self._read_seq = dict(live.baseline)
        above = self._above_history(live)
        async with aclosing(
            self._hold.hold(above) if self._revisions == "final" else above
        ) as records:
            async for record in records:
                if self._is_due(record):
                    yield record

    async def _history(self, since_ns: int, live: Live) -> AsyncIterator[LiveBar]:
        """Yield history of the new symbols, and join them to their lanes above it."""
        through = dict[str, int]()
        async for snapshot in self._read_pages(self._positions.new, since_ns, live.baseline):
            self.gaps += snapshot.gaps
            for lane in live.baseline:
                seq = snapshot.through.get(lane, 0)
                through[lane] = min(through.get(lane, seq), seq)
            for record in _by_start(snapshot):
                if self._deduplicator.is_new(record):
                    yield record
        self._positions.join(through or live.baseline)

    async def _restore_delivered(self, bookmark: Bookmark, live: Live) -> None:
        """Add the bars that were delivered before the restart to the deduplicator."""
        joined = self._positions.joined
        if not joined:
            return
        self._processed = [bar for bar in bookmark.beyond if bar.symbol in joined]
        for bar in self._processed:
            self._deduplicator.is_new(bar)
        earliest_ns = min(start_ns for _, start_ns in joined.values())
        since_ns = max(earliest_ns, time.time_ns() - LOOK_BACK_NS)
        async for snapshot in self._read_pages(joined, since_ns, live.baseline):
            for record in _by_start(snapshot):
                if self._positions.was_delivered(record):
                    self._deduplicator.is_new(record)

    async def _above_history(self, live: Live) -> AsyncGenerator[LiveBar]:
        """Yield live records above the start positions, and note which frames were read."""
        async for record in live:
            lane = lane_name(record.symbol)
            before = self._reading_seq.get(lane, 0)
            if before < record.seq:
                # The first record of a frame shows that the frame before has been read.
                self._read_seq[lane] = max(before, self._read_seq.get(lane, 0))
                self._reading_seq[lane] = record.seq
            if self._positions.includes(record):
                yield record

    def _is_due(self, record: LiveBar) -> bool:
        new = self._deduplicator.is_new(record)
        return new or (self._revisions == "all" and self._deduplicator.is_newer_version(record))

    def _frontier(self, live: Live) -> dict[str, int]:
        """Return the last frame of each lane of which nothing is left to be processed."""
        # Records in the live queue are not counted below: while there are some, or a stop has
        # dropped some, the last frame that was read is the limit. An empty queue has been read to
        # the end.
        frontier = dict(self._read_seq) if live.behind or live.stopped else live.done
        for record in chain((self._current, self._unqueued), self._ready, self._hold):
            if record is None:
                continue
            lane = lane_name(record.symbol)
            frontier[lane] = min(frontier.get(lane, record.seq), record.seq - 1)
        return frontier


def _by_start(snapshot: HistorySnapshot) -> list[LiveBar]:
    """Return the rows of all symbols in order of start."""
    records = [record for block in snapshot.blocks for record in live_bars(block)]
    records.sort(key=lambda record: record.start_ns)
    return records
