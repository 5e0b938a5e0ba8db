"""What the services behind the bus say of themselves."""

import time
from typing import Any

import msgspec
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from lean_lite.bus import Bus
from lean_lite.messages import Beat
from lean_lite.subjects import BEATS

SILENT_S = 5.0
INSTANCES = 1_024

_decode = msgspec.msgpack.Decoder(Beat).decode


class Services:
    """Keep the last beat of every service instance; one that falls silent is forgotten."""

    def __init__(self) -> None:
        """Hear nobody before `start`."""
        self._beats: dict[str, tuple[Beat, float]] = {}
        self._subscription: Subscription | None = None

    async def start(self, bus: Bus) -> None:
        """Listen."""
        self._subscription = await bus.subscribe(BEATS, self._on_beat)

    async def stop(self, bus: Bus) -> None:
        """Listen no more."""
        if self._subscription is not None:
            await bus.unsubscribe(self._subscription)
        self._subscription = None
        self._beats.clear()

    def to_dict(self) -> dict[str, Any]:
        """Return each living instance: whether it is ready, why not, and its counters."""
        since = time.monotonic() - SILENT_S
        return {
            beat.instance: {
                "service": beat.service,
                "version": beat.version,
                "ready": beat.ready,
                "failing": list(beat.failing),
                "samples": {_name(s.name, s.labels): s.value for s in beat.samples},
            }
            for beat, heard_at in self._beats.values()
            if heard_at > since
        }

    async def _on_beat(self, message: Msg) -> None:
        try:
            beat = _decode(message.data)
        except msgspec.MsgspecError:
            return
        self._beats.pop(beat.instance, None)
        self._beats[beat.instance] = beat, time.monotonic()
        if len(self._beats) > INSTANCES:
            del self._beats[next(iter(self._beats))]


def _name(name: str, labels: dict[str, str]) -> str:
    """Return a counter's name as Prometheus writes it."""
    inside = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return f"{name}{{{inside}}}" if inside else name
