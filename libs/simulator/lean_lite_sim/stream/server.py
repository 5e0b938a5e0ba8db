"""The websocket server: accepts connections and hands them what is due."""

import asyncio
import logging
from contextlib import suppress
from http import HTTPStatus
from typing import Final

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from lean_lite_sim.faults import ConnectionFault
from lean_lite_sim.protocol.endpoints import ENDPOINTS, Tempo
from lean_lite_sim.protocol.wire import Message
from lean_lite_sim.stream.connection import ClientConnection, ConnectionContext
from lean_lite_sim.stream.delivery import Delivery

log = logging.getLogger(__name__)

_LARGEST_REQUEST_BYTES: Final = 4 << 20
_CLOSE_TIMEOUT_S: Final = 0.3
_GOING_AWAY: Final = 1001
_EVERYTHING: Final = 1 << 30


class StreamServer:
    """All websocket connections of a simulator."""

    def __init__(self, context: ConnectionContext) -> None:
        self._context = context
        self._sessions: set[ClientConnection] = set()
        self._server: Server | None = None

    async def start(self) -> int:
        """Listen and give the port."""
        settings = self._context.settings
        self._server = await serve(
            self._on_connection,
            settings.host,
            settings.stream_port,
            process_request=self._on_request,
            compression="deflate",
            max_size=_LARGEST_REQUEST_BYTES,
            # Clients ping; a server that pings would notice the half-open ones it simulates.
            ping_interval=None,
            close_timeout=_CLOSE_TIMEOUT_S,
        )
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Say goodbye to everybody, and hang up on those who don't answer."""
        if self._server is None:
            return
        self._server.close(close_connections=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * _CLOSE_TIMEOUT_S):
                await self._server.wait_closed()
        for session in tuple(self._sessions):
            session.apply_fault(ConnectionFault(abort=True))

    def subscribers(self, tempo: Tempo) -> list[ClientConnection]:
        """List the sessions of a tempo that have subscribed to anything."""
        return [
            session
            for session in self._sessions
            if session.endpoint.tempo == tempo and not session.subscription.is_empty
        ]

    def deliver(self, sessions: list[ClientConnection], messages: list[Message]) -> None:
        """Queue messages that are due for the sessions that want them."""
        armed = self._context.faults.latest.frame_size
        delivery = Delivery(messages, armed or self._context.settings.frame_size or _EVERYTHING)
        for session in sessions:
            session.deliver(delivery)

    def apply_fault(self, blow: ConnectionFault) -> None:
        """Do to every open connection what a fault says."""
        for session in tuple(self._sessions):
            session.apply_fault(blow)

    async def _on_connection(self, connection: ServerConnection) -> None:
        path = _path_of(connection.request)
        session = ClientConnection(connection, ENDPOINTS[path], self._context)
        self._sessions.add(session)
        self._context.stats.on_connect(path)
        try:
            await session.run()
        finally:
            self._context.stats.on_disconnect(path)
            self._sessions.discard(session)

    def _on_request(self, connection: ServerConnection, request: Request) -> Response | None:
        if status := self._context.faults.latest.handshake_status:
            return _refuse(connection, HTTPStatus(status))
        if _path_of(request) not in ENDPOINTS:
            return _refuse(connection, HTTPStatus.NOT_FOUND)
        return None


def _refuse(connection: ServerConnection, status: HTTPStatus) -> Response:
    return connection.respond(status, f"{status.phrase}\n")


def _path_of(request: Request | None) -> str:
    return "" if request is None else request.path.partition("?")[0]
