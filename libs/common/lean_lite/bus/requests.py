"""
Ask and answer: one reply, or a head with many chunks.

A large answer is a head and then chunks, one message each. The asker says after every chunk how
many it has taken, and the answerer keeps at most `WINDOW` ahead of that.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import NamedTuple

import msgspec
from nats import micro
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.micro.request import ERROR_CODE_HEADER, ERROR_HEADER, Request
from nats.micro.service import EndpointConfig, Service, ServiceConfig

from lean_lite.bus.connection import TROUBLE, Bus, encode
from lean_lite.errors import BusUnavailable, Busy, DecodeError, RequestError
from lean_lite.subjects import credit

WINDOW = 4
ACTIVE = 64
CREDIT_LIMIT_S = 10.0
HEADER_BYTES = 1024
CREDIT = "Credit"
CHUNKS = "Chunks"

log = logging.getLogger(__name__)


class Answer(NamedTuple):
    """Hold the head of an answer and the chunks that follow it."""

    head: msgspec.Struct
    chunks: Sequence[bytes] = ()


class Responder:
    """
    Answer requests of one service through `nats.micro`.

    Each request runs as a task of its own, `ACTIVE` at most: more are told to come again.
    A handler raises RequestError to refuse; a head that no message can hold is `too-large`.
    """

    def __init__(self, bus: Bus, name: str, instance: str, version: str) -> None:
        """Answer nothing before `start`."""
        self._bus = bus
        self._name = name
        self._instance = instance
        self._version = version
        self._service: Service | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._taken: dict[str, asyncio.Queue[int]] = {}
        self._count = 0

    async def start(self) -> None:
        """Make the service known on the bus."""
        config = ServiceConfig(name=self._name, version=self._version)
        self._service = await micro.add_service(self._bus.connection, config)
        await self._bus.subscribe(f"{credit(self._instance)}.*", self._on_credit)

    async def add[Ask: msgspec.Struct](
        self,
        subject: str,
        request_type: type[Ask],
        handle: Callable[[Ask], Awaitable[Answer]],
    ) -> None:
        """Answer requests of one type on a subject, shared with the service's replicas."""
        if self._service is None:
            message = "start() comes before add()"
            raise RuntimeError(message)
        decoder = msgspec.msgpack.Decoder(request_type)

        async def on_request(request: Request) -> None:
            if len(self._tasks) >= ACTIVE:
                await request.respond_error("busy", f"{ACTIVE} requests are at work; ask again")
                return
            task = asyncio.create_task(self._answer(request, decoder, handle))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        name = subject.rpartition(".")[2]
        await self._service.add_endpoint(
            EndpointConfig(name=name, subject=subject, handler=on_request)
        )

    async def stop(self) -> None:
        """Finish what is at work and be gone from the bus."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._bus.config.request_timeout_s)
        if self._service is not None:
            await self._service.stop()

    async def _answer[Ask: msgspec.Struct](
        self,
        request: Request,
        decoder: msgspec.msgpack.Decoder[Ask],
        handle: Callable[[Ask], Awaitable[Answer]],
    ) -> None:
        try:
            answer = await handle(decoder.decode(request.data))
            await self._send(request, answer)
        except msgspec.MsgspecError as error:
            await request.respond_error("bad-request", f"the request can't be read: {error}")
        except RequestError as error:
            await request.respond_error(error.code, str(error))
        except TROUBLE as error:
            log.warning("request.failed", extra={"error": repr(error)})
        except Exception:
            log.exception("request.crashed", extra={"subject": request.subject})
            await request.respond_error(
                "internal", f"{self._name} failed at {request.subject}: see its log"
            )

    async def _send(self, request: Request, answer: Answer) -> None:
        head = _fitting(self._bus, encode(answer.head), "answer")
        if not answer.chunks:
            await request.respond(head, {CHUNKS: "0"})
            return
        self._count += 1
        ticket = str(self._count)
        taken: asyncio.Queue[int] = asyncio.Queue()
        self._taken[ticket] = taken
        try:
            headers = {
                CHUNKS: str(len(answer.chunks)),
                CREDIT: f"{credit(self._instance)}.{ticket}",
            }
            await request.respond(head, headers)
            await self._stream(request, answer.chunks, taken)
        finally:
            del self._taken[ticket]

    async def _stream(
        self, request: Request, chunks: Sequence[bytes], taken: asyncio.Queue[int]
    ) -> None:
        confirmed = 0
        for sent, chunk in enumerate(chunks):
            while sent - confirmed >= WINDOW:
                async with asyncio.timeout(CREDIT_LIMIT_S):
                    confirmed = max(confirmed, await taken.get())
            await request.respond(chunk)

    async def _on_credit(self, message: Msg) -> None:
        taken = self._taken.get(message.subject.rpartition(".")[2])
        if taken is not None and message.data.isdigit():
            taken.put_nowait(int(message.data))


async def ask[Reply: msgspec.Struct](
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
    async with aclosing(ask_many(bus, subject, request, timeout_s=timeout_s)) as parts:
        async for part in parts:
            return _decoded(part, reply_type)
    message = f"no answer on {subject}"
    raise BusUnavailable(message)


async def ask_many(
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
        head = await _next(messages, subject, limit_s)
        yield head.data
        headers = head.headers or {}
        for taken in range(1, int(headers.get(CHUNKS, 0)) + 1):
            chunk = await _next(messages, subject, limit_s)
            yield chunk.data
            await bus.publish(headers[CREDIT], str(taken).encode())
    finally:
        await bus.unsubscribe(subscription)


async def _next(messages: asyncio.Queue[Msg], subject: str, limit_s: float) -> Msg:
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
