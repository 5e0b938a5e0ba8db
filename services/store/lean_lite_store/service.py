"""
Keep every graded bar, and answer what was.

In: stream GRADED (`md.graded.>`), read by this process for itself from the position in its file.
Out: `store-N.sqlite`, `md.history` (shared among replicas), hashes `bars:latest:…` in Valkey.
Scale: every replica claims a file of its own; versions commute, so all of them agree.
"""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import ExitStack

from lean_lite.bus import Responder
from lean_lite.messages import HistoryRequest
from lean_lite.service import Context
from lean_lite.subjects import HISTORY
from lean_lite.version import VERSION
from lean_lite_store.applied import Applied
from lean_lite_store.checkpoints import Checkpoints
from lean_lite_store.database import open_store
from lean_lite_store.flusher import Flusher
from lean_lite_store.graded import GradedReader
from lean_lite_store.history import History
from lean_lite_store.latest import Latest
from lean_lite_store.positions import read_positions, read_stream
from lean_lite_store.shelf import JournalShelf
from lean_lite_store.slots import claim_slot

log = logging.getLogger(__name__)


class StoreService:
    """
    Wire the parts of one store process together.

    Bars go GradedReader → Flusher → journal, then JournalShelf and Latest; History reads the shelf.
    """

    def __init__(self, context: Context) -> None:
        """Claim a slot and open its file; StoreError or ConfigError says why that can't be."""
        config = context.config.store
        self._context = context
        self._slot = claim_slot(config.path)
        connection = open_store(self._slot.path)
        positions = read_positions(connection)
        self._applied = Applied(positions)
        self._shelf = JournalShelf(self._slot.path, config.days_in_memory)
        self._latest = Latest(config.redis_url)
        self._flusher = Flusher(
            connection, self._shelf, self._applied, self._latest, config.pending_frames
        )
        self._graded = GradedReader(
            context.bus, self._flusher, self._applied, positions, read_stream(connection)
        )
        self._history = History(self._shelf, self._applied, config)
        self._checkpoints = Checkpoints(self._slot.path)

    def failing(self) -> Iterable[str]:
        """Name what keeps the store from being ready; an absent Valkey does not."""
        yield from self._flusher.failing()
        yield from self._graded.failing()

    async def run(self) -> None:
        """Read, store and answer until cancelled."""
        bus, _, instance = self._context
        responder = Responder(bus, "store", instance, VERSION)
        log.info(
            "store.opened", extra={"file": self._slot.path.name, "applied_seq": self._applied.head}
        )
        with ExitStack() as leaving:
            for leave in (self._slot.release, self._flusher.close, self._shelf.close):
                leaving.callback(leave)
            self._checkpoints.start()
            leaving.callback(self._checkpoints.stop)
            await responder.start()
            try:
                await responder.add(HISTORY, HistoryRequest, self._history.on_request)
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._flusher.run())
                    tasks.create_task(self._latest.run())
                    tasks.create_task(self._graded.run())
            finally:
                await responder.stop()
