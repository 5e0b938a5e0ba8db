"""HeartbeatMonitor: the last heartbeat of every service process."""

import logging
import time
from collections.abc import Callable
from typing import Any

import msgspec
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from lean_lite.bus.connection import Bus
from lean_lite.protocol.heartbeat import Heartbeat
from lean_lite.protocol.subjects import HEARTBEATS

# Heartbeats come every second: several in a row were lost, or the process is gone.
SILENT_S = 5.0
PROCESSES = 1_024

_decode = msgspec.msgpack.Decoder(Heartbeat).decode

log = logging.getLogger(__name__)


class HeartbeatMonitor:
    """
    The last heartbeat of every service process.

    It holds at most `limit` processes; the one silent for longest is dropped first.
    `on_heartbeat` is called with each one that arrives, `on_undecodable` for other bytes.
    """

    def __init__(
        self,
        subject: str = HEARTBEATS,
        *,
        limit: int = PROCESSES,
        on_heartbeat: Callable[[Heartbeat], None] | None = None,
        on_undecodable: Callable[[], None] | None = None,
    ) -> None:
        self._subject = subject
        self._limit = limit
        self._on_heartbeat = on_heartbeat
        self._on_undecodable = on_undecodable
        self._last: dict[tuple[str, str], tuple[Heartbeat, float]] = {}
        self._subscription: Subscription | None = None
        self._bus: Bus | None = None

    async def start(self, bus: Bus) -> None:
        """Subscribe; returns once the server has the subscription."""
        self._bus = bus
        self._subscription = await bus.subscribe(self._subject, self._on_message)
        await bus.flush()

    async def stop(self) -> None:
        """Unsubscribe and forget every process."""
        if self._bus is not None and self._subscription is not None:
            await self._bus.unsubscribe(self._subscription)
        self._bus = self._subscription = None
        self._last.clear()

    def all(self) -> list[Heartbeat]:
        """Return the last heartbeat of every process, those that are silent included."""
        return [heartbeat for heartbeat, _ in self._last.values()]

    def live(self, silent_s: float = SILENT_S) -> list[Heartbeat]:
        """Return the last heartbeat of every process that sent one within `silent_s`."""
        since = time.monotonic() - silent_s
        return [heartbeat for heartbeat, received_at in self._last.values() if received_at > since]

    def states(self, silent_s: float = SILENT_S) -> dict[str, str]:
        """Return `ready`, `gone` or the reasons of each service; its newest process decides."""
        live = self.live(silent_s)
        return {
            heartbeat.service: "; ".join(heartbeat.failing) or "ready"
            if heartbeat in live
            else "gone"
            for heartbeat in sorted(self.all(), key=lambda heartbeat: heartbeat.started_wall_ns)
        }

    def to_dict(self) -> dict[str, Any]:
        """Return each live process: whether it is ready, why not, and its metrics."""
        return {
            heartbeat.instance: {
                "service": heartbeat.service,
                "version": heartbeat.version,
                "ready": heartbeat.ready,
                "failing": list(heartbeat.failing),
                "samples": {_series(s.name, s.labels): s.value for s in heartbeat.samples},
            }
            for heartbeat in self.live()
        }

    async def _on_message(self, message: Msg) -> None:
        try:
            heartbeat = _decode(message.data)
        except msgspec.MsgspecError as error:
            if self._on_undecodable is not None:
                self._on_undecodable()
            log.debug("heartbeat.undecodable", extra={"error": repr(error)})
            return
        process = heartbeat.service, heartbeat.instance
        # Put back at the end: the first one is always the one silent for longest.
        self._last.pop(process, None)
        self._last[process] = heartbeat, time.monotonic()
        if len(self._last) > self._limit:
            del self._last[next(iter(self._last))]
        if self._on_heartbeat is not None:
            self._on_heartbeat(heartbeat)


def _series(name: str, labels: dict[str, str]) -> str:
    """Return name and labels as Prometheus writes them."""
    inside = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return f"{name}{{{inside}}}" if inside else name
