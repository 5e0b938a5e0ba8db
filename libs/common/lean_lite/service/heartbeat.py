"""HeartbeatPublisher: the state and the metrics of a service, published every second."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable

from prometheus_client import REGISTRY

from lean_lite.bus import Bus
from lean_lite.protocol.heartbeat import Heartbeat, Sample
from lean_lite.protocol.subjects import heartbeat
from lean_lite.service.health import ExternalReason
from lean_lite.version import VERSION

# Other libraries register metrics, too; no subscriber needs them.
METRIC_PREFIX = "lean_lite_"
READY_CHECK_S = 0.05

log = logging.getLogger(__name__)


class HeartbeatPublisher:
    """Publisher of one process' heartbeats; `failing` yields why it is not ready."""

    def __init__(
        self,
        bus: Bus,
        service: str,
        instance: str,
        url: str,
        failing: Callable[[], Iterable[str]],
    ) -> None:
        self._bus = bus
        self._service = service
        self._instance = instance
        self._url = url
        self._failing = failing
        self._started_ns = time.time_ns()

    async def run(self, interval_s: float, on_heartbeat: Callable[[], None]) -> None:
        """Publish until cancelled, and immediately when the service becomes ready or not ready."""
        while True:
            on_heartbeat()
            ready = self._ready()
            await self.publish()
            for _ in range(max(round(interval_s / READY_CHECK_S), 1)):
                await asyncio.sleep(min(READY_CHECK_S, interval_s))
                if self._ready() != ready:
                    break

    async def publish(self) -> None:
        """Publish one heartbeat; nothing while the bus is disconnected."""
        failing = tuple(self._failing())
        message = Heartbeat(
            self._service,
            self._instance,
            os.getpid(),
            self._started_ns,
            time.time_ns(),
            tuple(map(str, failing)),
            self._url,
            VERSION,
            tuple(_samples()),
            tuple(str(reason) for reason in failing if isinstance(reason, ExternalReason)),
        )
        if self._bus.connected:
            await self._bus.publish_message(heartbeat(self._service, self._instance), message)

    def _ready(self) -> bool:
        return not any(True for _ in self._failing())


def _samples() -> Iterable[Sample]:
    for metric in REGISTRY.collect():
        if metric.name.startswith(METRIC_PREFIX):
            for sample in metric.samples:
                # The client library adds the creation time of every counter.
                if not sample.name.endswith("_created"):
                    yield Sample(sample.name, dict(sample.labels), sample.value)
