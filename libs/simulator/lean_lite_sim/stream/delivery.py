"""Delivery, SendQueue: frames for clients, shared where equal, and queued for each."""

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from websockets.asyncio.server import ServerConnection

from lean_lite_sim.protocol.wire import Codec, Message, encode_frame
from lean_lite_sim.stream.subscription import Selection


class SharedFrames(NamedTuple):
    """The messages for clients with equal selections, and their frames."""

    messages: list[Message]
    frames: list[bytes | str]


class Delivery:
    """The messages due at one time; clients with equal codec and selection share frames."""

    def __init__(self, messages: Sequence[Message], frame_size: int) -> None:
        self._messages = messages
        self._frame_size = frame_size
        self.frames_for = cache(self._make_frames)

    def _make_frames(self, codec: Codec, selection: Selection) -> SharedFrames:
        messages = [message for message in self._messages if selection.includes(message)]
        frames = [
            encode_frame([m.encode(codec) for m in messages[at : at + self._frame_size]], codec)
            for at in range(0, len(messages), self._frame_size)
        ]
        return SharedFrames(messages, frames)


class SendQueue:
    """
    Queue in front of one connection: a slow client does not delay the others.

    It has no bound of its own; the connection is closed when too many frames wait.
    """

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        self._frames: deque[bytes | str] = deque()
        self._has_frames = asyncio.Event()
        self._running = asyncio.Event()
        self._running.set()
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        """Count the waiting frames."""
        return len(self._frames)

    def put(self, frame: bytes | str) -> None:
        """Queue a frame."""
        self._frames.append(frame)
        self._has_frames.set()
        self._empty.clear()

    def clear(self) -> None:
        """Discard the waiting frames."""
        self._frames.clear()

    def pause(self) -> None:
        """Send nothing until `resume`."""
        self._running.clear()

    def resume(self) -> None:
        """Resume sending."""
        self._running.set()

    async def drain(self) -> None:
        """Wait until everything has been sent."""
        await self._empty.wait()

    async def run(self) -> None:
        """Send until cancelled; raise ConnectionClosed when the connection ends."""
        while True:
            await self._has_frames.wait()
            await self._running.wait()
            while self._frames and self._running.is_set():
                await self._connection.send(self._frames.popleft())
            if not self._frames:
                self._has_frames.clear()
                self._empty.set()
