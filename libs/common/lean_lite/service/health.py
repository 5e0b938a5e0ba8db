"""
Answer `/healthz`, `/readyz` and `/metrics` from a thread, so that a stuck loop is seen.

`/healthz` fails when the event loop has not run for `STUCK_S`; `/readyz` fails while the service
names something that keeps it from working.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from lean_lite.errors import ConfigError

STUCK_S = 10.0

Respond = Callable[[str, list[tuple[str, str]]], Any]


class Health:
    """Serve the health of one process over HTTP."""

    def __init__(self, host: str, port: int, failing: Callable[[], Iterable[str]]) -> None:
        """Bind the port (0 takes a free one); ConfigError when it can't be had."""
        self._failing = failing
        self._alive_at = time.monotonic()
        self._metrics = make_wsgi_app()
        try:
            self._server = make_server(host, port, self._respond, WSGIServer, _Quiet)
        except OSError as error:
            raise ConfigError(
                "service.health_port",
                f"can't listen on {host}:{port}: {error}; name another port, or 0 for a free one",
            ) from error
        self.url = f"http://{host}:{self._server.server_port}"

    def start(self) -> None:
        """Serve from a daemon thread."""
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def loop_alive(self) -> None:
        """Note that the event loop runs."""
        self._alive_at = time.monotonic()

    def _respond(self, environ: dict[str, Any], respond: Respond) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            served: Iterable[bytes] = self._metrics(environ, respond)
            return served
        if path == "/healthz":
            idle_s = time.monotonic() - self._alive_at
            stuck = [f"the event loop has not run for {idle_s:.0f} s"] if idle_s > STUCK_S else []
            return _state(respond, stuck)
        if path == "/readyz":
            return _state(respond, list(self._failing()))
        respond("404 Not Found", [("Content-Type", "text/plain")])
        return [b"there is /healthz, /readyz and /metrics\n"]


def _state(respond: Respond, failing: list[str]) -> Iterable[bytes]:
    status = "503 Service Unavailable" if failing else "200 OK"
    respond(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [("\n".join(failing) or "ok").encode() + b"\n"]


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Log nothing: probes come every few seconds."""


class ExternalReason(str):
    """Be a reason that only the world outside can mend: a stack starts although it is there."""

    __slots__ = ()
