"""Ask the store for bars."""

from contextlib import aclosing
from typing import NamedTuple

import msgspec

from lean_lite.blocks import Block, decode_block
from lean_lite.bus import Bus, ask_many
from lean_lite.errors import DecodeError
from lean_lite.messages import HistoryReply, HistoryRequest
from lean_lite.subjects import HISTORY


class Snapshot(NamedTuple):
    """
    Hold one consistent answer of the store.

    `through` maps a lane to the last GRADED sequence it includes; every block has one symbol, and
    the rows of a symbol are in order of start.
    """

    through: dict[str, int]
    blocks: list[Block]


async def fetch(bus: Bus, request: HistoryRequest, *, timeout_s: float | None = None) -> Snapshot:
    """
    Return what the store has.

    RequestError when it refuses, Busy when it can't reach `min_seq` in time, BusUnavailable when
    it does not answer, DecodeError when the answer is cut or unreadable.
    """
    parts = ask_many(bus, HISTORY, request, timeout_s=timeout_s)
    async with aclosing(parts):
        head = _head(await anext(parts))
        blocks = [decode_block(chunk) async for chunk in parts]
    if sum(len(block) for block in blocks) != head.rows:
        message = f"the store promised {head.rows} bars and sent another number: ask again"
        raise DecodeError(message)
    return Snapshot(head.through, blocks)


def _head(data: bytes) -> HistoryReply:
    try:
        return msgspec.msgpack.decode(data, type=HistoryReply)
    except msgspec.MsgspecError as error:
        message = f"the store's answer can't be read: {error}"
        raise DecodeError(message) from error
