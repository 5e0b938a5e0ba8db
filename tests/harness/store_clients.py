"""Clients of a store: one publishes bars, the other requests history."""

import msgspec

from lean_lite.blocks import Block, decode_block, encode_block
from lean_lite.bus import Bus, request_chunks
from lean_lite.protocol.history import HistoryReply, HistoryRequest
from lean_lite.protocol.partitions import lane_of
from lean_lite.protocol.subjects import HISTORY, graded


class Publisher:
    """Stand in for validate."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus

    async def frame(
        self, symbol: str, payload: bytes, headers: dict[str, str] | None = None
    ) -> int:
        subject = graded(lane_of(symbol))
        ack = await self.bus.jetstream.publish(subject, payload, headers=headers or {})
        return ack.seq

    async def bars(self, symbol: str, block: Block) -> int:
        return await self.frame(symbol, encode_block(block))


class HistoryClient:
    """Stand in for a strategy."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus

    async def __call__(self, *symbols: str, **more: object) -> tuple[HistoryReply, list[Block]]:
        request = msgspec.convert({"symbols": symbols, **more}, HistoryRequest)
        parts = [part async for part in request_chunks(self.bus, HISTORY, request, timeout_s=20)]
        reply = msgspec.msgpack.decode(parts[0], type=HistoryReply)
        return reply, [decode_block(part) for part in parts[1:]]
