"""Tell the bus every second how a service is and what it has counted."""

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

OURS = "lean_lite_"
LOOK_S = 0.05

log = logging.getLogger(__name__)


class HeartbeatPublisher:
    """Publish the state of one process."""

    def __init__(
        self,
        bus: Bus,
        service: str,
        instance: str,
        url: str,
        failing: Callable[[], Iterable[str]],
    ) -> None:
        """Publish nothing before `run` or `once`."""
        self._bus = bus
        self._service = service
        self._instance = instance
        self._url = url
        self._failing = failing
        self._started_ns = time.time_ns()

    async def run(self, every_s: float, on_beat: Callable[[], None]) -> None:
        """Beat until cancelled, at once when the service becomes ready or ceases to be."""
        while True:
            on_beat()
            ready = self._ready()
            await self.publish()
            for _ in range(max(round(every_s / LOOK_S), 1)):
                await asyncio.sleep(min(LOOK_S, every_s))
                if self._ready() != ready:
                    break

    async def publish(self) -> None:
        """Beat now; a bus that is away is no reason to fail."""
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
        if metric.name.startswith(OURS):
            for sample in metric.samples:
                if not sample.name.endswith("_created"):
                    yield Sample(sample.name, dict(sample.labels), sample.value)
