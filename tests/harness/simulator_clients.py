"""Plain websocket and HTTP clients of the simulator, without alpaca-py."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import date
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec
from websockets.asyncio.client import ClientConnection, connect

from lean_lite_sim import Simulator, SimulatorSettings
from lean_lite_sim.market.timestamps import SECOND_NS

TODAY = date(2026, 11, 23)
KEYS = {"APCA-API-KEY-ID": "simulator", "APCA-API-SECRET-KEY": "simulator"}
MSGPACK = {"Content-Type": "application/msgpack"}
CONTROL_TYPES = ("success", "error", "subscription")
WAIT_S = 20

Record = dict[str, Any]


def fast(**changes: Any) -> SimulatorSettings:
    return SimulatorSettings(**{"today": TODAY, "speed": 6000.0, "hold": True, **changes})


class StreamClient:
    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, **message: object) -> None:
        await self.connection.send(msgspec.msgpack.encode(message))

    async def receive(self) -> list[Record]:
        async with asyncio.timeout(WAIT_S):
            frame = await self.connection.recv()
        assert isinstance(frame, bytes)
        messages = msgspec.msgpack.decode(frame, type=list[Record])
        for message in messages:
            if "t" in message:
                message["t"] = round(message["t"].timestamp()) * SECOND_NS
        return messages

    async def request(self, **message: object) -> Record:
        await self.send(**message)
        while (reply := (await self.receive())[0])["T"] not in CONTROL_TYPES:
            pass
        return reply

    async def login(self, key: str = "simulator", secret: str = "simulator") -> Record:
        assert await self.receive() == [{"T": "success", "msg": "connected"}]
        return await self.request(action="auth", key=key, secret=secret)

    async def data(self, count: int) -> list[Record]:
        found: list[Record] = []
        while len(found) < count:
            found += [m for m in await self.receive() if m["T"] in "bud"]
        return found


@asynccontextmanager
async def stream(
    simulator: Simulator,
    path: str = "/v2/iex",
    headers: Mapping[str, str] = MSGPACK,
) -> AsyncIterator[StreamClient]:
    async with connect(
        simulator.stream_url + path,
        additional_headers=headers,
        max_size=None,
        ping_interval=None,
        close_timeout=0.2,
        proxy=None,
    ) as connection:
        yield StreamClient(connection)


@asynccontextmanager
async def subscribed(
    simulator: Simulator,
    path: str = "/v2/iex",
    **channels: list[str],
) -> AsyncIterator[StreamClient]:
    async with stream(simulator, path) as client:
        assert (await client.login())["msg"] == "authenticated"
        assert (await client.request(action="subscribe", **channels))["T"] == "subscription"
        yield client


class Reply(NamedTuple):
    status: int
    body: Any
    headers: Mapping[str, str]


async def call(
    simulator: Simulator,
    path: str,
    params: Mapping[str, object] | None = None,
    headers: Mapping[str, str] = KEYS,
    *,
    method: str = "GET",
    body: object = None,
) -> Reply:
    url = simulator.rest_url + path + ("?" + urlencode(params) if params else "")
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, dict(headers), method=method)
    return await asyncio.to_thread(_call, request)


def _call(request: urllib.request.Request) -> Reply:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=WAIT_S) as reply:
            return Reply(reply.status, json.loads(reply.read()), dict(reply.headers))
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, json.loads(error.read()), dict(error.headers))
