"""Frames waiting for a flush: live frames before bulk history."""

import asyncio
from collections import deque

from lean_lite_store.intake.frames import IncomingFrame

# Bulk frames are large, and back-pressure on their publisher is what keeps memory bounded.
BULK_FRAMES = 8


class FlushQueue:
    """
    Bounded queue of frames with two priorities, each in order.

    A flush takes live frames or bulk frames, never both, and bulk frames only when no live frame
    waits. `task_done` and `join` are as in `asyncio.Queue`. BoundedQueue would not make it simpler:
    a flush reads the queue that has priority, and `join` waits for the present flush as well.
    """

    def __init__(self, live_frames: int) -> None:
        self._live: deque[IncomingFrame] = deque()
        self._bulk: deque[IncomingFrame] = deque()
        self._live_frames = live_frames
        self._unfinished = 0
        self._changed = asyncio.Condition()

    def __len__(self) -> int:
        """Return the number of waiting frames."""
        return len(self._live) + len(self._bulk)

    async def put(self, frame: IncomingFrame) -> None:
        """Add a frame; waits while its priority is full."""
        waiting, bound = (
            (self._bulk, BULK_FRAMES) if frame.bulk else (self._live, self._live_frames)
        )
        async with self._changed:
            await self._changed.wait_for(lambda: len(waiting) < bound)
            waiting.append(frame)
            self._changed.notify_all()

    async def get(self, rows: int) -> list[IncomingFrame]:
        """Return the next frames: live ones of about `rows` rows in all, or one of bulk history."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self) > 0)
            frames = [self._next()]
            taken = frames[0].rows
            while taken < rows and self._live and not frames[0].bulk:
                frames.append(self._live.popleft())
                taken += frames[-1].rows
            self._unfinished = len(frames)
            self._changed.notify_all()
        return frames

    async def task_done(self) -> None:
        """Note that the frames returned last are stored."""
        async with self._changed:
            self._unfinished = 0
            self._changed.notify_all()

    async def join(self) -> None:
        """Wait until no frame waits or is being stored."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._unfinished and not len(self))

    def _next(self) -> IncomingFrame:
        return self._live.popleft() if self._live else self._bulk.popleft()
