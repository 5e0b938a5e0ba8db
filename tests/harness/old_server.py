"""A server that looks like an old NATS server."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lean_lite.stack.processes.ports import LOCALHOST

INFO = {"server_id": "OLD", "version": "2.8.4", "headers": True, "max_payload": 2**20, "proto": 1}


@asynccontextmanager
async def old_server() -> AsyncIterator[str]:
    """Yield the address of a server that is too old."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"INFO " + json.dumps(INFO).encode() + b"\r\n")
        while line := await reader.readline():
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
        writer.close()

    server = await asyncio.start_server(serve, LOCALHOST, 0)
    async with server:
        yield f"nats://{LOCALHOST}:{server.sockets[0].getsockname()[1]}"
