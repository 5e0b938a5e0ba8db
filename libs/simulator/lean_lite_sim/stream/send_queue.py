"""What waits to be sent to one client."""

import asyncio
from collections import deque

from websockets.asyncio.server import ServerConnection


class SendQueue:
    """A queue in front of one connection, so that a slow client stops nobody else."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        self._frames: deque[bytes | str] = deque()
        self._has_frames = asyncio.Event()
        self._open = asyncio.Event()
        self._open.set()
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        """Count the frames that wait."""
        return len(self._frames)

    def put(self, frame: bytes | str) -> None:
        """Queue a frame."""
        self._frames.append(frame)
        self._has_frames.set()
        self._empty.clear()

    def clear(self) -> None:
        """Forget the frames that wait."""
        self._frames.clear()

    def pause(self) -> None:
        """Send nothing until `resume`."""
        self._open.clear()

    def resume(self) -> None:
        """Send again."""
        self._open.set()

    async def drain(self) -> None:
        """Wait until everything has been sent."""
        await self._empty.wait()

    async def run(self) -> None:
        """Send for ever; raises ConnectionClosed when the connection ends."""
        while True:
            await self._has_frames.wait()
            await self._open.wait()
            while self._frames and self._open.is_set():
                await self._connection.send(self._frames.popleft())
            if not self._frames:
                self._has_frames.clear()
                self._empty.set()
