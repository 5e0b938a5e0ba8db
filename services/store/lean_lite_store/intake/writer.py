"""
Group commit: what arrives while a flush runs forms the next one.

A flush stores rows and positions in one transaction of the only writing thread, then shows them to
history. One that the disk refuses is tried again every second, so nothing is dropped; meanwhile
arrivals fill up to their bound and the server holds the stream back.
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
TODO = "free space on it or mend it; nothing is lost, and the store goes on by itself"

log = logging.getLogger(__name__)


class GroupCommitWriter:
    """Store arrivals in order, `pending` frames waiting at most."""

    def __init__(
        self,
        connection: apsw.Connection,
        shelf: JournalDayStore,
        coverage: Coverage,
        applied: Iterable[AppliedPositions],
        latest: LatestBars,
        *,
        pending: int,
        on_stored: Callable[[IncomingFrame], None],
    ) -> None:
        """Write nothing before `run`."""
        self._on_stored = on_stored
        self._connection = connection
        self._shelf = shelf
        self._coverage = coverage
        self._applied = tuple(applied)
        self._latest = latest
        self._pending = FlushQueue(pending)
        self._thread = ThreadPoolExecutor(1, "writer")
        self._trouble = ""

    def failing(self) -> Iterable[str]:
        """Name what the disk refuses."""
        if self._trouble:
            yield self._trouble

    async def put(self, arrival: IncomingFrame) -> None:
        """Take a frame, waiting while too many are pending."""
        await self._pending.put(arrival)
        metrics.PENDING_FRAMES.set(len(self._pending))

    async def drain(self) -> None:
        """Return when everything taken so far is stored."""
        await self._pending.join()

    async def start_stream(self, applied: AppliedPositions, created_ns: int) -> None:
        """Forget the positions in a stream that is another one; nothing of it may be pending."""
        stream = applied.stream
        await self._retry_disk(lambda: start_stream(self._connection, stream, created_ns))
        applied.restart()

    async def run(self) -> None:
        """Flush until cancelled."""
        while True:
            arrivals = await self._pending.get(FLUSH_ROWS)
            metrics.PENDING_FRAMES.set(len(self._pending))
            started = time.perf_counter()
            await self._flush(await self._in_thread(lambda: build_batch(arrivals)))  # noqa: B023 - awaited
            metrics.FLUSH_SECONDS.observe(time.perf_counter() - started)
            for arrival in arrivals:
                self._on_stored(arrival)
            await self._pending.task_done()

    def close(self) -> None:
        """Finish the transaction at work and let the file go."""
        self._thread.shutdown()
        self._connection.close()

    async def _flush(self, batch: FlushBatch) -> None:
        while True:
            try:
                async with self._shelf.holding({group.day for group in batch.groups}):
                    changes, spans = await self._retry_disk(lambda: self._store(batch))
                    self._publish_changes(batch, changes)
                    self._coverage.apply(spans)
            except (apsw.Error, StoreError) as error:
                await self._wait_for_disk(error)
            else:
                return

    async def _retry_disk[Result](self, work: Callable[[], Result]) -> Result:
        """Do disk work until it succeeds."""
        while True:
            try:
                result = await self._in_thread(work)
            except apsw.Error as error:
                await self._wait_for_disk(error)
                continue
            if self._trouble:
                log.info("store.disk_recovered")
                self._trouble = ""
            return result

    async def _wait_for_disk(self, error: Exception) -> None:
        metrics.FLUSH_FAILED.inc()
        if not self._trouble:
            log.error("store.disk_refuses", extra={"error": repr(error), "todo": TODO})
        self._trouble = f"the disk refuses what we store ({error}): {TODO}"
        await asyncio.sleep(RETRY_S)

    async def _in_thread[Result](self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _store(self, batch: FlushBatch) -> tuple[list[Change], dict[Series, Spans]]:
        """Commit a batch; runs in the writing thread."""
        changes = [self._shelf.plan(group) for group in batch.groups]
        spans = self._coverage.plan(batch.covered)
        with transaction(self._connection):
            for group, change in zip(batch.groups, changes, strict=True):
                if change.kept.any():
                    block = group.block if change.kept.all() else group.block.take(change.kept)
                    write_entry(self._connection, Entry(group.day, change.bars, block))
            for lost in batch.undecodable:
                write_undecodable(self._connection, lost)
            write_coverage(self._connection, spans)
            write_positions(self._connection, batch.positions, batch.raw_seqs)
        return changes, spans

    def _publish_changes(self, batch: FlushBatch, changes: list[Change]) -> None:
        """Let history, Valkey and the counters see what is committed; never waits."""
        for group, change in zip(batch.groups, changes, strict=True):
            self._shelf.apply(group, change)
            self._latest.put_nowait(group.source, change)
            (metrics.BULK if batch.bulk else metrics.BARS).inc(change.bars)
            metrics.QUARANTINED.inc(change.invalid)
            metrics.REPEATED.inc(change.repeated)
        metrics.REPEATED.inc(batch.repeated)
        metrics.UNDECODABLE.inc(len(batch.undecodable))
        metrics.FRAMES.inc(batch.frames)
        for applied in self._applied:
            applied.advance(batch.positions)
