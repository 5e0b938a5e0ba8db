"""One subject-keyed stream in memory, behind the two calls that a FencedPublisher makes."""

import asyncio
import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

from nats.js.errors import NotFoundError

from lean_lite.blocks import Block, decode_block
from lean_lite.bus import Bus
from lean_lite.config import BusConfig
from lean_lite.protocol.headers import EXPECTED_LAST, MARKER


class StoredFrame(NamedTuple):
    subject: str
    headers: Mapping[str, str]
    block: Block

    @property
    def is_marker(self) -> bool:
        return MARKER in self.headers


class RawStream:
    """Stores frames with the server's fence; while `paused` no frame is acknowledged."""

    max_payload = 1024**2

    def __init__(self, **settings: Any) -> None:
        self.frames: list[StoredFrame] = []
        self.running = asyncio.Event()
        self.running.set()
        self._last: dict[str, Any] = {}
        connection = SimpleNamespace(request=self.request, max_payload=self.max_payload)
        jetstream = SimpleNamespace(get_last_msg=self.get_last_msg)
        bus = SimpleNamespace(
            connection=connection, jetstream=jetstream, config=BusConfig(**settings)
        )
        self.bus = cast("Bus", bus)

    @property
    def rows(self) -> int:
        return sum(len(frame.block) for frame in self.frames)

    async def request(
        self,
        subject: str,
        payload: bytes,
        *,
        headers: dict[str, str],
        timeout: float,  # noqa: ASYNC109 - the client's own parameter
    ) -> Any:
        await asyncio.wait_for(self.running.wait(), timeout)
        last = self._last.get(subject)
        if int(headers[EXPECTED_LAST]) != (last.seq if last else 0):
            error = {"error": {"err_code": 10071, "description": "wrong last sequence"}}
            return SimpleNamespace(data=json.dumps(error).encode())
        self.frames.append(StoredFrame(subject, headers, decode_block(payload)))
        seq = len(self.frames)
        self._last[subject] = SimpleNamespace(seq=seq, headers=headers, data=payload)
        return SimpleNamespace(data=json.dumps({"stream": "RAW", "seq": seq}).encode())

    async def get_last_msg(self, stream: str, subject: str) -> Any:
        await self.running.wait()
        if subject not in self._last:
            raise NotFoundError
        return self._last[subject]
