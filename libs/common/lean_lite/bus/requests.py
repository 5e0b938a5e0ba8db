"""
Request and reply, the client's side: one reply, or a head followed by chunks.

A large reply is a head and then chunks, one message each. The client grants credit: after each
chunk it publishes how many it has received, and the server sends at most `WINDOW` beyond that.
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

# Chunks in flight: enough that the server seldom waits for credit, few enough that NATS does not
# treat a client that reads slowly as a slow consumer.
WINDOW = 4
# A client that grants no credit for so long is gone.
CREDIT_TIMEOUT_S = 10.0
HEADER_BYTES = 1024  # reserved in a message for its headers
CREDIT = "Credit"  # header: the subject on which the server receives credit
CHUNKS = "Chunks"  # header: the number of chunks that follow the head

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
    Send a request and return its reply, which has no chunks.

    RequestError when the service refuses or the request is too large for a message, Busy when it
    can't answer now, BusUnavailable when no service answers in time, DecodeError for a reply of
    another type.
    """
    async with aclosing(request_chunks(bus, subject, request, timeout_s=timeout_s)) as parts:
        async for part in parts:
            return _decode_reply(part, reply_type)
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
    Send a request and yield the head of the reply and then each chunk, not decoded.

    `timeout_s` bounds the wait for each of them. Errors are those of `request_reply`.
    """
    limit_s = timeout_s or bus.config.request_timeout_s
    payload = require_fitting(bus, encode(request), "request")
    inbox = bus.connection.new_inbox()
    messages: asyncio.Queue[Msg] = asyncio.Queue(WINDOW * 4)
    subscription = await bus.subscribe(inbox, messages.put)
    try:
        await bus.connection.publish(subject, payload, reply=inbox)
        head = await _next_message(messages, subject, limit_s)
        yield head.data
        headers = head.headers or {}
        for received in range(1, int(headers.get(CHUNKS, 0)) + 1):
            chunk = await _next_message(messages, subject, limit_s)
            yield chunk.data
            await bus.publish(headers[CREDIT], str(received).encode())
    finally:
        await bus.unsubscribe(subscription)


def require_fitting(bus: Bus, payload: bytes, what: str) -> bytes:
    """Return a payload that fits into one message; RequestError `too-large` for another."""
    room = bus.connection.max_payload - HEADER_BYTES
    if len(payload) > room:
        code = "too-large"
        message = (
            f"the {what} has {len(payload)} bytes, and a message on this bus holds {room}: "
            "request fewer symbols or a shorter span at a time"
        )
        raise RequestError(code, message)
    return payload


async def _next_message(messages: asyncio.Queue[Msg], subject: str, limit_s: float) -> Msg:
    try:
        async with asyncio.timeout(limit_s):
            message = await messages.get()
    except TimeoutError:
        text = f"no answer on {subject} within {limit_s:g} s: is the service running?"
        raise BusUnavailable(text) from None
    headers = message.headers or {}
    # NATS answers itself when the subject has no subscriber.
    if headers.get("Status") == "503":
        text = f"no service answers {subject}: it is not running, or not ready yet"
        raise BusUnavailable(text) from NoRespondersError()
    code = headers.get(ERROR_CODE_HEADER)
    if code is not None:
        text = headers.get(ERROR_HEADER, "")
        raise Busy(text) if code == "busy" else RequestError(code, text)
    return message


def _decode_reply[Reply: msgspec.Struct](data: bytes, reply_type: type[Reply]) -> Reply:
    try:
        return msgspec.msgpack.decode(data, type=reply_type)
    except msgspec.MsgspecError as error:
        message = f"invalid reply: expected {reply_type.__name__}: {error}"
        raise DecodeError(message) from error
