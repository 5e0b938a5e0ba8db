"""A relay between a client and the NATS server, which loses the messages that a test chooses."""

import asyncio
from collections.abc import Callable
from typing import Self

from lean_lite.stack.processes.ports import free_port

Lose = Callable[[str, bytes], bool]


def nothing(subject: str, payload: bytes) -> bool:
    return False


class Relay:
    """
    Pass everything on, except the messages to the client that `lose` chooses.

    `cut` breaks all connections, and the client may reconnect; `close` refuses it until `open`.
    """

    def __init__(self, nats_url: str) -> None:
        self._port = int(nats_url.rpartition(":")[2])
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self.lose: Lose = nothing
        self.lost: list[str] = []
        self._own_port = free_port()
        self.url = f"nats://127.0.0.1:{self._own_port}"

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self._own_port, limit=2**22
        )

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            for task in self._serving:
                task.cancel()
            if self._serving:
                await asyncio.wait(self._serving)
            await self._server.wait_closed()
            self._server = None

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, down: asyncio.StreamReader, up: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        ends = [up]
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**22)
            ends.append(writer)
            self._writers.update(ends)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_copy(down, writer))
                tasks.create_task(self._filter(reader, up))
        except* (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.difference_update(ends)
            for end in ends:
                end.transport.abort()
            self._serving.discard(task)

    async def _filter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            line = await reader.readuntil(b"\r\n")
            words = line.split()
            payload = b""
            if words[0] in (b"MSG", b"HMSG"):
                payload = await reader.readexactly(int(words[-1]) + 2)
                if self.lose(words[1].decode(), payload[:-2]):
                    self.lost.append(words[1].decode())
                    continue
            writer.write(line + payload)
            await writer.drain()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(2**16):
        writer.write(data)
        await writer.drain()
    raise ConnectionError
