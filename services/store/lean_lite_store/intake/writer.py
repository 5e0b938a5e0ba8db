"""
Group commit: the frames that arrive during a flush form the next one.

A flush writes rows and positions in one transaction of the only writing thread, then makes them
visible to history. A flush that the disk refuses is retried every second, so nothing is dropped;
until then the queue fills to its bound and the server holds the stream back.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import apsw

from lean_lite.errors import StoreError
from lean_lite_store import metrics
from lean_lite_store.applied import AppliedPositions
from lean_lite_store.intake.frames import FlushBatch, IncomingFrame, build_batch
from lean_lite_store.intake.queue import FlushQueue
from lean_lite_store.storage.coverage import Coverage, Spans, write_coverage
from lean_lite_store.storage.database import transaction
from lean_lite_store.storage.day_store import JournalDayStore
from lean_lite_store.storage.day_table import Change
from lean_lite_store.storage.journal import Entry, write_entry, write_undecodable
from lean_lite_store.storage.latest import LatestBars
from lean_lite_store.storage.positions import start_stream, write_positions
from lean_lite_store.storage.series import Series

# Keeps a flush's blob small and its table of symbols, whose index has 16 bits, from overflowing.
FLUSH_ROWS = 32_768
RETRY_S = 1.0
HINT = "free space on it or repair it; nothing is lost, and the store continues by itself"

log = logging.getLogger(__name__)


class GroupCommitWriter:
    """
    Writer of graded frames, in order; at most `pending` frames wait.

    `on_stored` is called with each frame once it is committed and visible to history.
    """

    def __init__(
        self,
        connection: apsw.Connection,
        days: JournalDayStore,
        coverage: Coverage,
        applied: Iterable[AppliedPositions],
        latest: LatestBars,
        *,
        pending: int,
        on_stored: Callable[[IncomingFrame], None],
    ) -> None:
        self._on_stored = on_stored
        self._connection = connection
        self._days = days
        self._coverage = coverage
        self._applied = tuple(applied)
        self._latest = latest
        self._queue = FlushQueue(pending)
        self._thread = ThreadPoolExecutor(1, "writer")
        self._disk_error = ""

    def failing(self) -> Iterable[str]:
        """Yield why the disk refuses to store."""
        if self._disk_error:
            yield self._disk_error

    async def put(self, frame: IncomingFrame) -> None:
        """Queue a frame; waits while the queue is full."""
        await self._queue.put(frame)
        metrics.PENDING_FRAMES.set(len(self._queue))

    async def drain(self) -> None:
        """Wait until everything queued is stored."""
        await self._queue.join()

    async def start_stream(self, applied: AppliedPositions, created_ns: int) -> None:
        """Reset the positions of a stream that was replaced; none of its frames may be queued."""
        stream = applied.stream
        await self._retry_disk(lambda: start_stream(self._connection, stream, created_ns))
        applied.restart()

    async def run(self) -> None:
        """Flush until cancelled."""
        while True:
            frames = await self._queue.get(FLUSH_ROWS)
            metrics.PENDING_FRAMES.set(len(self._queue))
            started = time.perf_counter()
            await self._flush(await self._in_thread(lambda: build_batch(frames)))  # noqa: B023 - awaited
            metrics.FLUSH_SECONDS.observe(time.perf_counter() - started)
            for frame in frames:
                self._on_stored(frame)
            await self._queue.task_done()

    def close(self) -> None:
        """Finish the current transaction and close the file."""
        self._thread.shutdown()
        self._connection.close()

    async def _flush(self, batch: FlushBatch) -> None:
        while True:
            try:
                async with self._days.loaded({group.day for group in batch.groups}):
                    changes, spans = await self._retry_disk(lambda: self._store(batch))
                    self._publish_changes(batch, changes)
                    self._coverage.apply(spans)
            except (apsw.Error, StoreError) as error:
                await self._wait_for_disk(error)
            else:
                return

    async def _retry_disk[Result](self, work: Callable[[], Result]) -> Result:
        """Retry disk work until it succeeds."""
        while True:
            try:
                result = await self._in_thread(work)
            except apsw.Error as error:
                await self._wait_for_disk(error)
                continue
            if self._disk_error:
                log.info("store.disk_recovered")
                self._disk_error = ""
            return result

    async def _wait_for_disk(self, error: Exception) -> None:
        metrics.FLUSH_FAILED.inc()
        if not self._disk_error:
            log.error("store.write_failed", extra={"error": repr(error), "hint": HINT})
        self._disk_error = f"the disk refuses to store bars ({error}): {HINT}"
        await asyncio.sleep(RETRY_S)

    async def _in_thread[Result](self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _store(self, batch: FlushBatch) -> tuple[list[Change], dict[Series, Spans]]:
        """Commit a batch, in the writing thread."""
        changes = [self._days.plan(group) for group in batch.groups]
        spans = self._coverage.plan(batch.covers)
        with transaction(self._connection):
            for group, change in zip(batch.groups, changes, strict=True):
                if change.kept.any():
                    block = group.block if change.kept.all() else group.block.take(change.kept)
                    write_entry(self._connection, Entry(group.day, change.bars, block))
            for undecodable in batch.undecodable:
                write_undecodable(self._connection, undecodable)
            write_coverage(self._connection, spans)
            write_positions(self._connection, batch.positions, batch.raw_seqs)
        return changes, spans

    def _publish_changes(self, batch: FlushBatch, changes: list[Change]) -> None:
        """Make committed rows visible to history, Valkey and the metrics; never waits."""
        for group, change in zip(batch.groups, changes, strict=True):
            self._days.apply(group, change)
            self._latest.put_nowait(group.source, change)
            (metrics.BULK if batch.bulk else metrics.BARS).inc(change.bars)
            metrics.QUARANTINED.inc(change.invalid)
            metrics.REPEATED.inc(change.repeated)
        metrics.REPEATED.inc(batch.repeated)
        metrics.UNDECODABLE.inc(len(batch.undecodable))
        metrics.FRAMES.inc(batch.frames)
        for applied in self._applied:
            applied.advance(batch.positions)
