"""One task that empties the queue of all subscribed symbols."""

import asyncio
import logging
from collections.abc import Mapping

from lean_lite.data.bar_queue import BarQueue
from lean_lite.data.intake import Intake
from lean_lite.data.mailbox import Source

TOGETHER = 256

log = logging.getLogger(__name__)


class Pump:
    """Hand bars from `queue` to the intake, as many together as the callbacks have room for."""

    def __init__(self, following: Mapping[str, Source], intake: Intake) -> None:
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
            records = await self.queue.take(min(max(room, 1), TOGETHER))
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
