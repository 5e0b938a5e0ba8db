"""RestServer: the HTTP server of REST and control paths."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lean_lite_sim.rest.replies import error_reply

_GRACE_S = 0.5


class _EmbeddedServer(uvicorn.Server):
    """A server that handles no signals, and sets `ready` when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle no signals: the event loop's owner does."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then set `ready`."""
        await super().startup(sockets)
        self.ready.set()


class RestServer:
    """An HTTP server that shares an event loop with other tasks."""

    def __init__(self, routes: Sequence[Route], host: str, port: int) -> None:
        self._routes = routes
        self._host = host
        self._port = port
        self._server: _EmbeddedServer | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Listen, and return the port."""
        app = Starlette(routes=self._routes, exception_handlers={404: _on_unknown_path})
        listener = socket.create_server((self._host, self._port), backlog=1024)
        port: int = listener.getsockname()[1]
        config = uvicorn.Config(
            app,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
        )
        self._server = _EmbeddedServer(config)
        self._serving = asyncio.create_task(self._server.serve([listener]))
        await self._server.ready.wait()
        return port

    async def stop(self) -> None:
        """Stop; replies in progress get half a second."""
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        done, _ = await asyncio.wait([self._serving], timeout=_GRACE_S)
        if not done:
            self._server.force_exit = True
            await self._serving


async def _on_unknown_path(_: Request, __: Exception) -> Response:
    return error_reply(404, "endpoint not found.")
