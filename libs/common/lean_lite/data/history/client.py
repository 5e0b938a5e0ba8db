"""Ask the store for bars."""

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import NamedTuple

import msgspec

from lean_lite.blocks import Block, decode_block
from lean_lite.bus import Bus, request_chunks
from lean_lite.errors import BusUnavailable, Busy, DecodeError
from lean_lite.protocol.history import Gap, HistoryReply, HistoryRequest
from lean_lite.protocol.subjects import HISTORY

# The store is asked again after this long, so that a long fetch shows how far it is.
SLICE_S = 1.0
BUSY_S = 0.2


class HistorySnapshot(NamedTuple):
    """
    Hold one consistent answer of the store.

    `through` maps a lane to the last GRADED sequence it includes; every block has one symbol, and
    the rows of a symbol are in order of start. `done` is the share that need not be waited for, and
    `gaps` names what could not be had.
    """

    through: dict[str, int]
    blocks: list[Block]
    done: float = 1.0
    gaps: tuple[Gap, ...] = ()


async def fetch(
    bus: Bus, request: HistoryRequest, *, timeout_s: float | None = None
) -> HistorySnapshot:
    """
    Return what the store has.

    RequestError when it refuses, Busy when it can't reach `min_seq` in time, BusUnavailable when
    it does not answer, DecodeError when the answer is cut or unreadable.
    """
    parts = request_chunks(bus, HISTORY, request, timeout_s=timeout_s)
    async with aclosing(parts):
        head = _head(await anext(parts))
        blocks = [decode_block(chunk) async for chunk in parts]
    if sum(len(block) for block in blocks) != head.rows:
        message = f"the store promised {head.rows} bars and sent another number: ask again"
        raise DecodeError(message)
    return HistorySnapshot(head.through, blocks, head.done, head.gaps)


async def read_through(
    bus: Bus,
    request: HistoryRequest,
    *,
    wait_s: float,
    progress: Callable[[float], None] | None = None,
) -> HistorySnapshot:
    """
    Return what the store has, after it has fetched what it lacks, within `wait_s` at most.

    `progress` is called with the share done, 0 to 1. What can't be had in that time stands in
    `gaps`. Errors are those of `fetch`; a busy store is asked again while there is time.
    """
    until = time.monotonic() + wait_s
    while True:
        left_s = until - time.monotonic()
        slice_s = max(min(left_s, SLICE_S), 0.0)
        asked = msgspec.structs.replace(request, wait_s=slice_s)
        try:
            snapshot = await fetch(bus, asked, timeout_s=slice_s + bus.config.request_timeout_s)
        except (Busy, BusUnavailable):
            if left_s <= 0:
                raise
            await asyncio.sleep(BUSY_S)
            continue
        if progress is not None:
            progress(snapshot.done)
        if math.isclose(snapshot.done, 1.0) or slice_s <= 0:
            return snapshot


def _head(data: bytes) -> HistoryReply:
    try:
        return msgspec.msgpack.decode(data, type=HistoryReply)
    except msgspec.MsgspecError as error:
        message = f"the store's answer can't be read: {error}"
        raise DecodeError(message) from error
