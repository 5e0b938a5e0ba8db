"""Recovery: fetch the frames of a lane that were lost on the bus from the store."""

import asyncio
import logging
from collections.abc import Callable

from lean_lite.bus import Bus
from lean_lite.data.history.client import fetch
from lean_lite.data.live.feed_subscriptions import REQUEST_ERRORS, FeedSubscriptions
from lean_lite.data.live.sequencer import Sequencer
from lean_lite.errors import Busy
from lean_lite.protocol.history import HistoryRequest
from lean_lite.protocol.live import LiveBar, live_bars
from lean_lite.protocol.partitions import Lane

# A watermark may arrive before the records of its frame, which use other subscriptions. If they are
# only late, the frame is complete within this time, without a request to the store.
GRACE_S = 0.25
# Pause while the queue has no room, or the store is behind or unavailable.
RETRY_S = 0.25

log = logging.getLogger(__name__)


class Recovery:
    """
    Fetches frames that are missing in lanes from the store, with one task per lane.

    Args:
        bus: connection to the store.
        subscriptions: which feed serves a symbol.
        room: returns for how many records there is room; nothing is fetched while it is 0.
        deliver: called with records in order.

    Attributes:
        refetched: number of records that were fetched.
    """

    def __init__(
        self,
        bus: Bus,
        subscriptions: FeedSubscriptions,
        room: Callable[[], int],
        deliver: Callable[[list[LiveBar]], None],
    ) -> None:
        self._bus = bus
        self._subscriptions = subscriptions
        self._room = room
        self._deliver = deliver
        self._tasks: dict[Lane, asyncio.Task[None]] = {}
        self.refetched = 0

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """Lanes that are being recovered."""
        return tuple(self._tasks)

    def start(self, lane: Lane, sequencer: Sequencer) -> None:
        """Fetch missing frames of a lane in the background; does nothing if that is in progress."""
        if lane not in self._tasks:
            self._tasks[lane] = asyncio.create_task(self._run(lane, sequencer))

    def cancel(self) -> None:
        """Cancel all tasks without waiting for them."""
        for task in self._tasks.values():
            task.cancel()

    async def stop(self) -> None:
        """Cancel all tasks and wait for their end."""
        self.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()))
        # A task that was cancelled before its first step has not removed itself.
        self._tasks.clear()

    async def _run(self, lane: Lane, sequencer: Sequencer) -> None:
        """Fetch from the store until no frame of the lane is missing."""
        awaited_seq = None
        try:
            while (missing_seq := sequencer.missing_seq) is not None:
                if self._room() <= 0:
                    await asyncio.sleep(RETRY_S)
                    continue
                if missing_seq != awaited_seq:
                    awaited_seq = missing_seq
                    await asyncio.sleep(GRACE_S)
                    continue
                try:
                    await self._fetch(lane, sequencer, missing_seq)
                except REQUEST_ERRORS as error:
                    log.info("missing bars of %s could not be fetched: %s", lane, error)
                    await asyncio.sleep(RETRY_S)
                # Frames that arrived during the fetch may be complete now.
                self._deliver(sequencer.pop_due(self._room()))
        finally:
            # After any error the next watermark starts a new task.
            del self._tasks[lane]

    async def _fetch(self, lane: Lane, sequencer: Sequencer, missing_seq: int) -> None:
        """Deliver all records after `done_seq`, up to `missing_seq` at least."""
        name = str(lane)
        snapshots = [
            await fetch(
                self._bus,
                HistoryRequest(
                    symbols=symbols,
                    feed=feed,
                    min_seq={name: missing_seq},
                    after={name: sequencer.done_seq},
                ),
            )
            for feed, symbols in self._subscriptions.by_source(sorted(sequencer.symbols)).items()
        ]
        # Snapshots of several feeds are of different times. Frames that only later snapshots have
        # are left out here, and delivered with the next frames.
        through_seq = min(snapshot.through.get(name, 0) for snapshot in snapshots)
        if through_seq < missing_seq:
            raise Busy(f"the store has frames up to {through_seq}, {missing_seq} is needed")
        records = [
            record
            for snapshot in snapshots
            for block in snapshot.blocks
            for record in live_bars(block, late=True)
            if record.seq <= through_seq
        ]
        due = sequencer.apply_snapshot(records, through_seq)
        self.refetched += len(due)
        self._deliver(due)
