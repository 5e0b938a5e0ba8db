"""
A process that publishes live records, as fast as it can.

It also answers for ingest and the store, so that an engine can subscribe: every symbol is served,
and there is no history.
"""

import asyncio
import time
from typing import Any

from lean_lite.bus import Bus, ChunkedReply, Responder, connect
from lean_lite.config import BusConfig
from lean_lite.config.sections import Secret
from lean_lite.protocol import subjects
from lean_lite.protocol.control import SubscribeReply, SubscribeRequest
from lean_lite.protocol.history import HistoryReply, HistoryRequest
from lean_lite.protocol.permissions import ADMIN
from tests.benchmarks.shared.turns import serve
from tests.benchmarks.workers.tape import BURST, FEED, Tape


class Publisher:
    """Take the turns `join`, `prepare` and `publish`, in this order."""

    def __init__(self) -> None:
        self._bus: Bus | None = None
        self._messages: list[tuple[str, bytes]] = []

    async def join(self, url: str, password: str) -> dict[str, Any]:
        """Connect, and answer requests."""
        config = BusConfig(url=url, user=ADMIN, password=Secret(password))
        self._bus = await connect(config, ADMIN, name="publisher")
        responder = Responder(self._bus, "benchmark", "benchmark-0", "0.1.0")
        await responder.start()
        await responder.add_endpoint(subjects.SUBSCRIBE, SubscribeRequest, _accept)
        await responder.add_endpoint(subjects.HISTORY, HistoryRequest, _know_nothing)
        await self._bus.flush()
        return {}

    async def prepare(self, symbols: int, first: int, minutes: int) -> dict[str, Any]:
        """Encode what will be published."""
        self._messages = list(Tape(symbols).messages(first, minutes))
        return {}

    async def publish(self) -> dict[str, Any]:
        """Publish it; tell our CPU time."""
        assert self._bus is not None
        cpu_s = time.process_time()
        for number, (subject, payload) in enumerate(self._messages):
            await self._bus.publish(subject, payload)
            if number % BURST == 0:
                await asyncio.sleep(0)
        await self._bus.flush()
        return {"cpu_s": time.process_time() - cpu_s}


async def _accept(request: SubscribeRequest) -> ChunkedReply:
    return ChunkedReply(SubscribeReply(request.symbols, feeds=dict.fromkeys(request.symbols, FEED)))


async def _know_nothing(_: HistoryRequest) -> ChunkedReply:
    return ChunkedReply(HistoryReply({}, 0, 0))


if __name__ == "__main__":
    publisher = Publisher()
    asyncio.run(serve(join=publisher.join, prepare=publisher.prepare, publish=publisher.publish))
