"""
HTTP health of a service: `/healthz`, `/readyz` and `/metrics`.

`/healthz` fails when the event loop has not run for `STUCK_S`; `/readyz` fails while the service
has a reason not to be ready.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from lean_lite.errors import ConfigError

# Ten times the interval of heartbeats: a slow disk or a pause of some seconds is tolerated.
STUCK_S = 10.0

Respond = Callable[[str, list[tuple[str, str]]], Any]


class ExternalReason(str):
    """Reason not to be ready that lies outside the stack, such as the vendor being unreachable."""

    __slots__ = ()


class Health:
    """
    HTTP server with the health of one process.

    It runs in a thread of its own, so that it answers even when the event loop is stuck. Port 0
    takes a free one; ConfigError when the port can't be bound.
    """

    def __init__(self, host: str, port: int, failing: Callable[[], Iterable[str]]) -> None:
        self._failing = failing
        self._loop_ran_at = time.monotonic()
        self._metrics = make_wsgi_app()
        try:
            self._server = make_server(host, port, self._respond, WSGIServer, _QuietHandler)
        except OSError as error:
            raise ConfigError(
                "service.health_port",
                f"can't listen on {host}:{port}: {error}; set another port, or 0 for a free one",
            ) from error
        self.url = f"http://{host}:{self._server.server_port}"

    def start(self) -> None:
        """Serve from a daemon thread."""
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()

    def stop(self) -> None:
        """Stop serving and close the port."""
        self._server.shutdown()
        self._server.server_close()

    def record_loop_run(self) -> None:
        """Record that the event loop runs; called from it."""
        self._loop_ran_at = time.monotonic()

    def _respond(self, environ: dict[str, Any], respond: Respond) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            metrics: Iterable[bytes] = self._metrics(environ, respond)
            return metrics
        if path == "/healthz":
            idle_s = time.monotonic() - self._loop_ran_at
            stuck = [f"the event loop has not run for {idle_s:.0f} s"] if idle_s > STUCK_S else []
            return _respond_state(respond, stuck)
        if path == "/readyz":
            return _respond_state(respond, list(self._failing()))
        respond("404 Not Found", [("Content-Type", "text/plain")])
        return [b"not found: there is /healthz, /readyz and /metrics\n"]


def _respond_state(respond: Respond, failing: list[str]) -> Iterable[bytes]:
    status = "503 Service Unavailable" if failing else "200 OK"
    respond(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [("\n".join(failing) or "ok").encode() + b"\n"]


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Log nothing: probes come every few seconds."""
