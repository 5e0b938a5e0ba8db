"""What waits for a flush: live frames first, and history only when no live frame waits."""

import asyncio
from collections import deque

from lean_lite_store.intake.frames import IncomingFrame

BULK_FRAMES = 8


class FlushQueue:
    """
    Hold frames in the order they came, so many of each way at most; one flush takes one way.

    BoundedQueue would not make it simpler: a flush reads the one of two queues that has priority,
    and `join` waits for the frames of the present flush as well.
    """

    def __init__(self, live_frames: int) -> None:
        """Start with nothing."""
        self._live: deque[IncomingFrame] = deque()
        self._bulk: deque[IncomingFrame] = deque()
        self._live_frames = live_frames
        self._taken = 0
        self._changed = asyncio.Condition()

    def __len__(self) -> int:
        """Return how many frames wait."""
        return len(self._live) + len(self._bulk)

    async def put(self, arrival: IncomingFrame) -> None:
        """Take a frame, waiting while too many of its way do."""
        waiting, bound = (
            (self._bulk, BULK_FRAMES) if arrival.bulk else (self._live, self._live_frames)
        )
        async with self._changed:
            await self._changed.wait_for(lambda: len(waiting) < bound)
            waiting.append(arrival)
            self._changed.notify_all()

    async def get(self, rows: int) -> list[IncomingFrame]:
        """Return the next frames, live ones of about so many rows in all, or one of history."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self) > 0)
            arrivals = [self._next()]
            taken = arrivals[0].rows
            while taken < rows and self._live and not arrivals[0].bulk:
                arrivals.append(self._live.popleft())
                taken += arrivals[-1].rows
            self._taken = len(arrivals)
            self._changed.notify_all()
        return arrivals

    async def task_done(self) -> None:
        """Note that what was taken last is stored."""
        async with self._changed:
            self._taken = 0
            self._changed.notify_all()

    async def join(self) -> None:
        """Return when nothing waits and nothing is at work."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._taken and not len(self))

    def _next(self) -> IncomingFrame:
        return self._live.popleft() if self._live else self._bulk.popleft()
