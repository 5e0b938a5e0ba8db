"""StreamServer: the websocket server, which delivers to its connections what is due."""

import asyncio
import logging
from contextlib import suppress
from http import HTTPStatus
from typing import Final

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from lean_lite_sim.faults import ConnectionFault
from lean_lite_sim.protocol.endpoints import ENDPOINTS, DeliveryGroup
from lean_lite_sim.protocol.wire import Message
from lean_lite_sim.stream.connection import ClientConnection, ConnectionContext
from lean_lite_sim.stream.delivery import Delivery

log = logging.getLogger(__name__)

_LARGEST_REQUEST_BYTES: Final = 4 << 20
_CLOSE_TIMEOUT_S: Final = 0.3
_GOING_AWAY: Final = 1001
_UNLIMITED: Final = 1 << 30


class StreamServer:
    """The websocket connections of a simulator."""

    def __init__(self, context: ConnectionContext) -> None:
        self._context = context
        self._clients: set[ClientConnection] = set()
        self._server: Server | None = None

    async def start(self) -> int:
        """Listen, and return the port."""
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
        """Close all connections; abort those that do not close in time."""
        if self._server is None:
            return
        self._server.close(close_connections=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * _CLOSE_TIMEOUT_S):
                await self._server.wait_closed()
        for client in tuple(self._clients):
            client.apply_fault(ConnectionFault(abort=True))

    def subscribers(self, group: DeliveryGroup) -> list[ClientConnection]:
        """List the connections of a group with any subscription."""
        return [
            client
            for client in self._clients
            if client.endpoint.group == group and not client.subscription.is_empty
        ]

    def deliver(self, clients: list[ClientConnection], messages: list[Message]) -> None:
        """Queue messages that are due for the clients that have subscribed them."""
        armed = self._context.faults.latest.frame_size
        delivery = Delivery(messages, armed or self._context.settings.frame_size or _UNLIMITED)
        for client in clients:
            client.deliver(delivery)

    def apply_fault(self, fault: ConnectionFault) -> None:
        """Apply a fault to every open connection."""
        for client in tuple(self._clients):
            client.apply_fault(fault)

    async def _on_connection(self, connection: ServerConnection) -> None:
        path = _path_of(connection.request)
        client = ClientConnection(connection, ENDPOINTS[path], self._context)
        self._clients.add(client)
        self._context.stats.on_connect(path)
        try:
            await client.run()
        finally:
            self._context.stats.on_disconnect(path)
            self._clients.discard(client)

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
