"""
Ask and answer: one reply, or a head with many chunks.

A large answer is a head and then chunks, one message each. The asker says after every chunk how
many it has taken, and the answerer keeps at most `WINDOW` ahead of that.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.micro.request import ERROR_CODE_HEADER, ERROR_HEADER

from lean_lite.bus.connection import Bus, encode
from lean_lite.errors import BusUnavailable, Busy, DecodeError, RequestError

WINDOW = 4
CREDIT_LIMIT_S = 10.0
HEADER_BYTES = 1024
CREDIT = "Credit"
CHUNKS = "Chunks"

log = logging.getLogger(__name__)


async def request_reply[Reply: msgspec.Struct](
    bus: Bus,
    subject: str,
    request: msgspec.Struct,
    reply_type: type[Reply],
    *,
    timeout_s: float | None = None,
) -> Reply:
    """
    Return the answer to a request that has no chunks.

    RequestError when the service refuses or the request is too large for a message, Busy when it
    can't answer now, BusUnavailable when nobody answers in time.
    """
    async with aclosing(request_chunks(bus, subject, request, timeout_s=timeout_s)) as parts:
        async for part in parts:
            return _decoded(part, reply_type)
    message = f"no answer on {subject}"
    raise BusUnavailable(message)


async def request_chunks(
    bus: Bus,
    subject: str,
    request: msgspec.Struct,
    *,
    timeout_s: float | None = None,
) -> AsyncGenerator[bytes]:
    """
    Yield the head of the answer and then each chunk, undecoded; `timeout_s` bounds every wait.

    Errors are those of `ask`.
    """
    limit_s = timeout_s or bus.config.request_timeout_s
    payload = _fitting(bus, encode(request), "request")
    inbox = bus.connection.new_inbox()
    messages: asyncio.Queue[Msg] = asyncio.Queue(WINDOW * 4)
    subscription = await bus.subscribe(inbox, messages.put)
    try:
        await bus.connection.publish(subject, payload, reply=inbox)
        head = await _next_message(messages, subject, limit_s)
        yield head.data
        headers = head.headers or {}
        for taken in range(1, int(headers.get(CHUNKS, 0)) + 1):
            chunk = await _next_message(messages, subject, limit_s)
            yield chunk.data
            await bus.publish(headers[CREDIT], str(taken).encode())
    finally:
        await bus.unsubscribe(subscription)


async def _next_message(messages: asyncio.Queue[Msg], subject: str, limit_s: float) -> Msg:
    try:
        async with asyncio.timeout(limit_s):
            message = await messages.get()
    except TimeoutError:
        text = f"no answer on {subject} within {limit_s:g} s: is the service running?"
        raise BusUnavailable(text) from None
    headers = message.headers or {}
    if headers.get("Status") == "503":
        text = f"nobody answers {subject}: the service is not running, or not yet"
        raise BusUnavailable(text) from NoRespondersError()
    code = headers.get(ERROR_CODE_HEADER)
    if code is not None:
        text = headers.get(ERROR_HEADER, "")
        raise Busy(text) if code == "busy" else RequestError(code, text)
    return message


def _fitting(bus: Bus, payload: bytes, what: str) -> bytes:
    """Return bytes that one message can hold; RequestError for more."""
    room = bus.connection.max_payload - HEADER_BYTES
    if len(payload) > room:
        code = "too-large"
        message = (
            f"the {what} has {len(payload)} bytes, and a message on this bus holds {room}: "
            "ask for fewer symbols or a shorter span at a time"
        )
        raise RequestError(code, message)
    return payload


def _decoded[Reply: msgspec.Struct](data: bytes, reply_type: type[Reply]) -> Reply:
    try:
        return msgspec.msgpack.decode(data, type=reply_type)
    except msgspec.MsgspecError as error:
        message = f"the answer is no {reply_type.__name__}: {error}"
        raise DecodeError(message) from error
