"""
Metrics receives the heartbeats of every service and serves them over HTTP.

    md.beat.> ──► Instances ──► Routes ──► /metrics, /api/status, /api/counters

It has nothing on disk: services count, metrics adds up. The counts of an instance that has ended
stay in the totals as long as this process runs.
"""

import asyncio
import logging
from collections.abc import Iterable

from lean_lite.bus.heartbeats import HeartbeatMonitor
from lean_lite.protocol.heartbeat import Heartbeat
from lean_lite.service import Context
from lean_lite_metrics import metrics
from lean_lite_metrics.instances import Instances
from lean_lite_metrics.routes import Routes
from lean_lite_metrics.server import PageServer

log = logging.getLogger(__name__)


class MetricsService:
    """Receiver of heartbeats and HTTP server; StackError when its port is taken."""

    def __init__(self, context: Context) -> None:
        self._bus = context.bus
        self._instances = Instances(context.config.metrics.gone_s)
        self._heartbeats = HeartbeatMonitor(
            on_heartbeat=self._on_heartbeat, on_undecodable=metrics.UNDECODABLE.inc
        )
        self._subscribed = False
        pages = Routes(self._instances, self._failing_here)
        self._server = PageServer(pages.application(), context.config.metrics)
        metrics.INFO.labels(self._server.url).set(1)

    async def run(self) -> None:
        """Receive and serve until cancelled."""
        await self._heartbeats.start(self._bus)
        self._subscribed = True
        log.info("metrics.listening", extra={"url": self._server.url})
        serving = asyncio.create_task(self._server.run_here())
        try:
            # Shielded, because uvicorn leaves open connections behind when it is cancelled.
            await asyncio.shield(serving)
        finally:
            self._server.should_exit = True
            await serving
            await self._heartbeats.stop()

    def failing(self) -> Iterable[str]:
        """Yield what keeps metrics from working; the runner adds the bus."""
        if not self._subscribed:
            yield "heartbeats are not subscribed yet"
        if not self._server.started:
            yield "the pages are not served yet"

    def _failing_here(self) -> Iterable[str]:
        yield from self._bus.failing()
        yield from self.failing()

    def _on_heartbeat(self, heartbeat: Heartbeat) -> None:
        metrics.HEARTBEATS.inc()
        before = self._instances.dropped
        self._instances.on_heartbeat(heartbeat)
        metrics.DROPPED.inc(self._instances.dropped - before)
