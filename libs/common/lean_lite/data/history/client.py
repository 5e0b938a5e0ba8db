"""Client of md.history: one snapshot of the store, or read-through."""

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

# How long one request of a read-through waits: each reply reports the progress, and if the replica
# stops during the request, this much time is lost.
SLICE_S = 1.0
# Pause before the next request when the store is busy or unavailable.
RETRY_S = 0.2


class HistorySnapshot(NamedTuple):
    """
    One consistent answer of the store.

    Attributes:
        through: last GRADED sequence, by lane, that the answer includes.
        blocks: blocks of one symbol each; the rows of a symbol are in order of start.
        done: share of the span that has been fetched or can't be, 0 to 1.
        gaps: spans that could not be fetched.
    """

    through: dict[str, int]
    blocks: list[Block]
    done: float = 1.0
    gaps: tuple[Gap, ...] = ()


async def fetch(
    bus: Bus, request: HistoryRequest, *, timeout_s: float | None = None
) -> HistorySnapshot:
    """
    Fetch one snapshot of the store.

    Args:
        bus: an open connection.
        request: symbols, span and what the answer must include.
        timeout_s: how long each message is waited for; by default `bus.request_timeout_s`.

    Raises:
        RequestError: the store refuses the request.
        Busy: the store did not reach `min_seq` in time.
        BusUnavailable: the store does not answer.
        DecodeError: the answer is incomplete or unreadable.
    """
    parts = request_chunks(bus, HISTORY, request, timeout_s=timeout_s)
    async with aclosing(parts):
        reply = _decode_reply(await anext(parts))
        blocks = [decode_block(chunk) async for chunk in parts]
    rows = sum(len(block) for block in blocks)
    if rows != reply.rows:
        message = f"the store announced {reply.rows} bars and sent {rows}: try again"
        raise DecodeError(message)
    return HistorySnapshot(reply.through, blocks, reply.done, reply.gaps)


async def read_through(
    bus: Bus,
    request: HistoryRequest,
    *,
    wait_s: float,
    progress: Callable[[float], None] | None = None,
) -> HistorySnapshot:
    """
    Fetch a snapshot once the store has fetched missing bars; what takes longer is in `gaps`.

    The request is retried for `wait_s` while the store is busy or unavailable.

    Args:
        bus: an open connection.
        request: symbols and span; its `wait_s` is replaced.
        wait_s: how long to wait, in seconds.
        progress: called with the share of the span that is done, 0 to 1.

    Raises:
        LeanLiteError: the errors of `fetch`.
    """
    until = time.monotonic() + wait_s
    while True:
        left_s = until - time.monotonic()
        slice_s = max(min(left_s, SLICE_S), 0.0)
        sliced = msgspec.structs.replace(request, wait_s=slice_s)
        try:
            snapshot = await fetch(bus, sliced, timeout_s=slice_s + bus.config.request_timeout_s)
        except (Busy, BusUnavailable):
            if left_s <= 0:
                raise
            await asyncio.sleep(RETRY_S)
            continue
        if progress is not None:
            progress(snapshot.done)
        if math.isclose(snapshot.done, 1.0) or slice_s <= 0:
            return snapshot


def _decode_reply(data: bytes) -> HistoryReply:
    try:
        return msgspec.msgpack.decode(data, type=HistoryReply)
    except msgspec.MsgspecError as error:
        message = f"unreadable answer of the store: {error}"
        raise DecodeError(message) from error
