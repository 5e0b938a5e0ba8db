"""Answer requests: one reply, or a head with many chunks under flow control."""

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
from lean_lite.bus.requests import CHUNKS, CREDIT, CREDIT_LIMIT_S, WINDOW, _fitting
from lean_lite.errors import RequestError
from lean_lite.protocol.subjects import credit

MAX_ACTIVE = 64

log = logging.getLogger(__name__)


class ChunkedReply(NamedTuple):
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

    async def add_endpoint[Ask: msgspec.Struct](
        self,
        subject: str,
        request_type: type[Ask],
        handle: Callable[[Ask], Awaitable[ChunkedReply]],
    ) -> None:
        """Answer requests of one type on a subject, shared with the service's replicas."""
        if self._service is None:
            message = "start() comes before add()"
            raise RuntimeError(message)
        decoder = msgspec.msgpack.Decoder(request_type)

        async def on_request(request: Request) -> None:
            if len(self._tasks) >= MAX_ACTIVE:
                await request.respond_error("busy", f"{MAX_ACTIVE} requests are at work; ask again")
                return
            task = asyncio.create_task(self._reply(request, decoder, handle))
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

    async def _reply[Ask: msgspec.Struct](
        self,
        request: Request,
        decoder: msgspec.msgpack.Decoder[Ask],
        handle: Callable[[Ask], Awaitable[ChunkedReply]],
    ) -> None:
        try:
            answer = await handle(decoder.decode(request.data))
            await self._send_reply(request, answer)
        except msgspec.MsgspecError as error:
            await request.respond_error("bad-request", f"the request can't be read: {error}")
        except RequestError as error:
            await request.respond_error(error.code, str(error))
        except TRANSIENT_ERRORS as error:
            log.warning("request.failed", extra={"error": repr(error)})
        except Exception:
            log.exception("request.crashed", extra={"subject": request.subject})
            await request.respond_error(
                "internal", f"{self._name} failed at {request.subject}: see its log"
            )

    async def _send_reply(self, request: Request, answer: ChunkedReply) -> None:
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
