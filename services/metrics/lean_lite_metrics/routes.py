"""HTTP routes of metrics."""

from collections.abc import Callable, Iterable

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from lean_lite_metrics.exposition import exposition
from lean_lite_metrics.instances import Instance, Instances

ENDPOINTS = {
    "/metrics": "all counters and gauges for Prometheus",
    "/api/status": "every instance of every service: its state, and why",
    "/api/counters": "bars per hop, summed over all instances",
    "/healthz": "200 while this process works",
    "/readyz": "200 while it can do its work, else 503 with the reasons",
}
INDEX = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Lean-Lite metrics</title>
<h1>Lean-Lite metrics</h1>
<dl>
{rows}
</dl>
</html>
"""


class Routes:
    """
    Handlers that reply from the last heartbeats.

    `failing` yields what keeps metrics itself from working.
    """

    def __init__(self, instances: Instances, failing: Callable[[], Iterable[str]]) -> None:
        self._instances = instances
        self._failing = failing

    def application(self) -> Starlette:
        """Return the ASGI application."""
        handlers = (self.metrics, self.status, self.counters, self.health, self.readiness)
        routes = [Route(path, handler) for path, handler in zip(ENDPOINTS, handlers, strict=True)]
        return Starlette(routes=[Route("/", self.index), *routes])

    async def index(self, _: Request) -> Response:
        """List the endpoints."""
        rows = "\n".join(
            f'<dt><a href="{path}">{path}</a></dt><dd>{meaning}</dd>'
            for path, meaning in ENDPOINTS.items()
        )
        return HTMLResponse(INDEX.format(rows=rows))

    async def metrics(self, _: Request) -> Response:
        """Return all samples in Prometheus' text format."""
        return Response(exposition(self._instances), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def status(self, _: Request) -> Response:
        """Return the state of every instance."""
        rows = [self._row(instance) for instance in self._instances]
        return JSONResponse({"instances": rows, "dropped": self._instances.dropped})

    async def counters(self, _: Request) -> Response:
        """Return the totals by hop, as whole numbers."""
        totals = self._instances.totals()
        return JSONResponse({hop: round(total) for hop, total in totals.items()})

    async def health(self, _: Request) -> Response:
        """Return 200: the event loop runs."""
        return PlainTextResponse("ok\n")

    async def readiness(self, _: Request) -> Response:
        """Return 200 while heartbeats arrive, else 503 with the reasons."""
        failing = list(self._failing())
        text = "\n".join(failing) or "ok"
        return PlainTextResponse(f"{text}\n", status_code=503 if failing else 200)

    def _row(self, instance: Instance) -> dict[str, object]:
        heartbeat = instance.heartbeat
        return {
            "service": heartbeat.service,
            "instance": heartbeat.instance,
            "state": self._instances.state(instance),
            "failing": heartbeat.failing,
            "age_s": round(self._instances.age_s(instance), 3),
            "url": heartbeat.url,
            "pid": heartbeat.pid,
            "version": heartbeat.version,
            "restarts": self._instances.restarts(heartbeat.service),
        }
