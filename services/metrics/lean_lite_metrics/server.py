"""HTTP server inside the event loop and process of the service."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from lean_lite.config import MetricsConfig
from lean_lite.errors import StackError

STOP_S = 1


class PageServer(uvicorn.Server):
    """
    Server of an application on the configured address, without signal handlers of its own.

    StackError when the port is taken.
    """

    def __init__(self, application: Starlette, config: MetricsConfig) -> None:
        try:
            family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
            self._socket = socket.create_server((config.host, config.port), family=family)
        except OSError as error:
            message = (
                f"metrics can't listen on {config.host}:{config.port}: {error}; "
                "set `metrics.port` to another port, or to 0 for a free one"
            )
            raise StackError(message) from error
        port = self._socket.getsockname()[1]
        host = f"[{config.host}]" if ":" in config.host else config.host
        self.url = f"http://{host}:{port}"
        options = uvicorn.Config(
            application,
            access_log=False,
            log_config=None,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=STOP_S,
        )
        super().__init__(options)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle no signals: the service's runner does."""
        yield

    async def run_here(self) -> None:
        """Serve until `should_exit` is set."""
        await self.serve(sockets=[self._socket])
