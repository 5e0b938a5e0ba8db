"""
The map of metrics: hear the beats of every service, and show them over HTTP.

    md.beat.> ──► Instances ──► Pages ──► /metrics, /api/status, /api/counters

It keeps nothing on disk: the others count, metrics adds up. What an instance counted before it
went stays in the totals for as long as this process lives.
"""

import asyncio
import logging
from collections.abc import Iterable

from lean_lite.bus.heartbeats import HeartbeatMonitor
from lean_lite.protocol.heartbeat import Heartbeat
from lean_lite.service import Context
from lean_lite_metrics import metrics as counters
from lean_lite_metrics.instances import Instances
from lean_lite_metrics.routes import Routes
from lean_lite_metrics.server import PageServer

log = logging.getLogger(__name__)


class MetricsService:
    """Collect beats and serve what they say."""

    def __init__(self, context: Context) -> None:
        """Take the port; StackError when it is taken."""
        self._bus = context.bus
        self._instances = Instances(context.config.metrics.gone_s)
        self._heartbeats = HeartbeatMonitor(
            on_heartbeat=self._on_heartbeat, on_undecodable=counters.UNREADABLE.inc
        )
        self._listening = False
        pages = Routes(self._instances, self._failing_here)
        self._server = PageServer(pages.application(), context.config.metrics)
        counters.INFO.labels(self._server.url).set(1)

    async def run(self) -> None:
        """Hear and serve until cancelled."""
        await self._heartbeats.start(self._bus)
        self._listening = True
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
        """Name what keeps metrics from working; the runner adds the bus."""
        if not self._listening:
            yield "the beats are not subscribed yet"
        if not self._server.started:
            yield "the pages are not served yet"

    def _failing_here(self) -> Iterable[str]:
        yield from self._bus.failing()
        yield from self.failing()

    def _on_heartbeat(self, beat: Heartbeat) -> None:
        counters.BEATS.inc()
        before = self._instances.dropped
        self._instances.on_heartbeat(beat)
        counters.DROPPED.inc(self._instances.dropped - before)
