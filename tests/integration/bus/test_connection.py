"""A bus that can't be used is refused in words, before anything is begun."""

import asyncio
import json

import pytest

from lean_lite.bus import connect
from lean_lite.config import BusConfig
from lean_lite.errors import BusUnavailable, ConfigError, ServerTooOld
from lean_lite.stack.ports import free_port

INFO = {
    "server_id": "OLD",
    "version": "2.8.4",
    "go": "go1.17",
    "host": "127.0.0.1",
    "port": 0,
    "headers": True,
    "max_payload": 1_048_576,
    "proto": 1,
}


async def test_a_server_that_is_too_old_is_named_with_its_version() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"INFO " + json.dumps(INFO).encode() + b"\r\n")
        while line := await reader.readline():
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(ServerTooOld, match=r"version 2\.8\.4; Lean-Lite needs 2\.10 or newer"):
            await connect(BusConfig(url=f"nats://127.0.0.1:{port}"), "client", name="test")


async def test_an_address_where_nobody_answers_is_named_with_what_to_check() -> None:
    url = f"nats://127.0.0.1:{free_port()}"
    with pytest.raises(BusUnavailable, match="check that the server runs"):
        await connect(BusConfig(url=url, connect_timeout_s=1), "client", name="test")


async def test_a_missing_address_names_the_setting() -> None:
    with pytest.raises(ConfigError, match="LEAN_LITE_BUS__URL"):
        await connect(BusConfig(), "client", name="test")
