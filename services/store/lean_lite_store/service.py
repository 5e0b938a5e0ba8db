"""
The store keeps every graded bar and answers history.

In: streams GRADED and BULK_GRADED, read by this process for itself from the positions in its file.
Out: `store-N.sqlite`, `md.history` (shared among replicas), hashes `bars:latest:…` in Valkey;
missing history is requested from ingest on `md.ctl.backfill` and comes back through BULK_GRADED.
Scale: every replica claims a file of its own; versions commute, so all replicas agree.
"""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import ExitStack, suppress

from lean_lite.bus import PositionReporter, Responder
from lean_lite.errors import Busy
from lean_lite.protocol.history import HistoryRequest
from lean_lite.protocol.partitions import Lane
from lean_lite.protocol.subjects import BULK_GRADED, GRADED, HISTORY, position
from lean_lite.service import Context
from lean_lite.version import VERSION
from lean_lite_store.applied import AppliedPositions
from lean_lite_store.intake.frames import IncomingFrame
from lean_lite_store.intake.stream_reader import StreamReader
from lean_lite_store.intake.writer import GroupCommitWriter
from lean_lite_store.serving.history import HistoryServer
from lean_lite_store.serving.read_through import ReadThrough
from lean_lite_store.storage.checkpoints import Checkpoints
from lean_lite_store.storage.coverage import Coverage, read_coverage
from lean_lite_store.storage.database import open_store
from lean_lite_store.storage.day_store import JournalDayStore
from lean_lite_store.storage.latest import LatestBars
from lean_lite_store.storage.positions import read_positions, read_raw_seqs, read_stream
from lean_lite_store.storage.slots import claim_slot

log = logging.getLogger(__name__)


class StoreService:
    """
    The parts of one store process.

    StreamReader → GroupCommitWriter → journal, then JournalDayStore and LatestBars; HistoryServer
    reads from the JournalDayStore.
    """

    def __init__(self, context: Context) -> None:
        config = context.config.store
        self._context = context
        self._slot = claim_slot(config.path)
        connection = open_store(self._slot.path)
        positions = read_positions(connection)
        self._applied = AppliedPositions(GRADED, positions)
        bulk = AppliedPositions(BULK_GRADED, positions)
        self._position = PositionReporter(context.bus, position("store", context.instance))
        for lane, raw_seq in read_raw_seqs(connection, BULK_GRADED).items():
            self._position.update(lane, raw_seq)
        self._days = JournalDayStore(self._slot.path, config.days_in_memory)
        self._latest = LatestBars(config.redis_url)
        coverage = Coverage(read_coverage(connection))
        self._read_through = ReadThrough(context.bus, context.config, coverage)
        self._writer = GroupCommitWriter(
            connection,
            self._days,
            coverage,
            (self._applied, bulk),
            self._latest,
            pending=config.pending_frames,
            on_stored=self._on_stored,
        )
        self._readers = [
            StreamReader(
                context.bus, self._writer, applied, read_stream(connection, applied.stream)
            )
            for applied in (self._applied, bulk)
        ]
        self._history = HistoryServer(
            self._days, self._applied, self._read_through, context.config, self._readers[0].end_seq
        )
        self._checkpoints = Checkpoints(self._slot.path)
        self._serving = False

    def failing(self) -> Iterable[str]:
        """Yield what keeps the store from being ready; an absent Valkey does not."""
        yield from self._writer.failing()
        for reader in self._readers:
            yield from reader.failing()
        if not self._serving:
            yield "history requests are not answered yet"

    async def run(self) -> None:
        """Read, store and reply until cancelled."""
        bus, _, instance = self._context
        responder = Responder(bus, "store", instance, VERSION)
        log.info(
            "store.opened",
            extra={"file": self._slot.path.name, "applied_seq": self._applied.max_seq},
        )
        with ExitStack() as closing:
            for close in (self._slot.release, self._writer.close, self._days.close):
                closing.callback(close)
            self._checkpoints.start()
            closing.callback(self._checkpoints.stop)
            await responder.start()
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._writer.run())
                    tasks.create_task(self._latest.run())
                    tasks.create_task(self._position.run())
                    for reader in self._readers:
                        tasks.create_task(reader.run())
                    tasks.create_task(self._serve_history(responder))
            finally:
                await responder.stop()
                await self._read_through.stop()

    async def _serve_history(self, responder: Responder) -> None:
        """Serve history once this replica has what the streams held when it started."""
        for reader in self._readers:
            await reader.caught_up()
        await responder.add_endpoint(HISTORY, HistoryRequest, self._history.on_request)
        with suppress(Busy):
            # The round trip to the server shows that it has the subscription.
            await self._readers[0].end_seq()
        self._serving = True

    def _on_stored(self, frame: IncomingFrame) -> None:
        if frame.bulk:
            self._position.update(str(Lane.from_subject(frame.subject)), frame.raw_seq)
        if frame.covers is not None:
            self._read_through.on_coverage_grown()
