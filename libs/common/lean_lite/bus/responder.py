"""Responder: request and reply, the server's side, with flow control for large replies."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import msgspec
from nats import micro
from nats.aio.msg import Msg
from nats.micro.request import Request
from nats.micro.service import EndpointConfig, Service, ServiceConfig

from lean_lite.bus.connection import TRANSIENT_ERRORS, Bus, encode
from lean_lite.bus.requests import (
    CHUNKS,
    CREDIT,
    CREDIT_TIMEOUT_S,
    WINDOW,
    require_fitting,
)
from lean_lite.errors import RequestError
from lean_lite.protocol.subjects import credit

MAX_ACTIVE = 64  # requests at a time

log = logging.getLogger(__name__)


class ChunkedReply(NamedTuple):
    """The head of a reply and the chunks that follow it."""

    head: msgspec.Struct
    chunks: Sequence[bytes] = ()


class Responder:
    """
    Server of the requests to one service, through `nats.micro`.

    Each request is handled by a task of its own; above `MAX_ACTIVE` the client gets `busy`. A
    handler raises RequestError to refuse. A head that does not fit into a message is refused as
    `too-large`.
    """

    def __init__(self, bus: Bus, name: str, instance: str, version: str) -> None:
        self._bus = bus
        self._name = name
        self._instance = instance
        self._version = version
        self._service: Service | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._credits: dict[str, asyncio.Queue[int]] = {}
        self._count = 0

    async def start(self) -> None:
        """Register the service on the bus."""
        config = ServiceConfig(name=self._name, version=self._version)
        self._service = await micro.add_service(self._bus.connection, config)
        await self._bus.subscribe(f"{credit(self._instance)}.*", self._on_credit)

    async def add_endpoint[Message: msgspec.Struct](
        self,
        subject: str,
        request_type: type[Message],
        handle: Callable[[Message], Awaitable[ChunkedReply]],
    ) -> None:
        """Answer requests on a subject, which the replicas of the service share."""
        if self._service is None:
            message = "call start() before add_endpoint()"
            raise RuntimeError(message)
        decoder = msgspec.msgpack.Decoder(request_type)

        async def on_request(request: Request) -> None:
            if len(self._tasks) >= MAX_ACTIVE:
                await request.respond_error(
                    "busy", f"{MAX_ACTIVE} requests are in progress: try again"
                )
                return
            task = asyncio.create_task(self._reply(request, decoder, handle))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        name = subject.rpartition(".")[2]
        await self._service.add_endpoint(
            EndpointConfig(name=name, subject=subject, handler=on_request)
        )

    async def stop(self) -> None:
        """Wait for the requests in progress, within the request timeout, and unregister."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._bus.config.request_timeout_s)
        if self._service is not None:
            await self._service.stop()

    async def _reply[Message: msgspec.Struct](
        self,
        request: Request,
        decoder: msgspec.msgpack.Decoder[Message],
        handle: Callable[[Message], Awaitable[ChunkedReply]],
    ) -> None:
        try:
            reply = await handle(decoder.decode(request.data))
            await self._send_reply(request, reply)
        except msgspec.MsgspecError as error:
            await request.respond_error("bad-request", f"invalid request: {error}")
        except RequestError as error:
            await request.respond_error(error.code, str(error))
        except TRANSIENT_ERRORS as error:
            # The bus is unavailable, so an error could not be sent either: the client times out.
            log.warning("reply.failed", extra={"error": repr(error)})
        except Exception:
            log.exception("request.crashed", extra={"subject": request.subject})
            await request.respond_error(
                "internal", f"{self._name} failed at {request.subject}: see its log"
            )

    async def _send_reply(self, request: Request, reply: ChunkedReply) -> None:
        head = require_fitting(self._bus, encode(reply.head), "reply")
        if not reply.chunks:
            await request.respond(head, {CHUNKS: "0"})
            return
        self._count += 1
        reply_id = str(self._count)
        received: asyncio.Queue[int] = asyncio.Queue()
        self._credits[reply_id] = received
        try:
            headers = {
                CHUNKS: str(len(reply.chunks)),
                CREDIT: f"{credit(self._instance)}.{reply_id}",
            }
            await request.respond(head, headers)
            await self._send_chunks(request, reply.chunks, received)
        finally:
            del self._credits[reply_id]

    async def _send_chunks(
        self, request: Request, chunks: Sequence[bytes], received: asyncio.Queue[int]
    ) -> None:
        confirmed = 0
        for sent, chunk in enumerate(chunks):
            while sent - confirmed >= WINDOW:
                # A client that is gone ends the reply with a TimeoutError.
                async with asyncio.timeout(CREDIT_TIMEOUT_S):
                    # Credit may arrive out of order.
                    confirmed = max(confirmed, await received.get())
            await request.respond(chunk)

    async def _on_credit(self, message: Msg) -> None:
        received = self._credits.get(message.subject.rpartition(".")[2])
        # Anything else belongs to a reply that has ended, or does not follow the protocol.
        if received is not None and message.data.isdigit():
            received.put_nowait(int(message.data))
