"""Listen to the services' beats."""

import time

import msgspec
from nats.aio.msg import Msg

from lean_lite.bus import Bus
from lean_lite.messages import Beat
from lean_lite.subjects import BEATS

GONE_S = 3.0

_decode = msgspec.msgpack.Decoder(Beat).decode


class Counts(msgspec.Struct):
    """Add up what each hop has counted, in bars."""

    published: int = 0
    graded: int = 0
    quarantined: int = 0
    repeated: int = 0


# Which sample of which service each figure is.
SAMPLES = {
    "published": "lean_lite_ingest_published_total",
    "graded": "lean_lite_validate_graded_total",
    "quarantined": "lean_lite_validate_quarantined_total",
    "repeated": "lean_lite_validate_repeated_total",
}


class Pulse:
    """Keep the last beat of every service process."""

    def __init__(self, bus: Bus) -> None:
        """Hear nothing before `start`."""
        self._bus = bus
        self._beats: dict[str, Beat] = {}

    async def start(self) -> None:
        """Listen."""
        await self._bus.subscribe(BEATS, self._on_beat)

    def counts(self) -> Counts:
        """Return the sums over all processes heard, those that are gone included."""
        counts = Counts()
        for beat in self._beats.values():
            for name, sample_name in SAMPLES.items():
                total = sum(sample.value for sample in beat.counted(sample_name))
                setattr(counts, name, getattr(counts, name) + int(total))
        return counts

    def services(self) -> dict[str, str]:
        """Return each service's state in a word or its reasons, the newest process first."""
        states: dict[str, str] = {}
        for beat in sorted(self._beats.values(), key=lambda beat: beat.started_wall_ns):
            gone = time.time_ns() - beat.wall_ns > GONE_S * 1e9
            states[beat.service] = "gone" if gone else "; ".join(beat.failing) or "ready"
        return states

    async def _on_beat(self, message: Msg) -> None:
        beat = _decode(message.data)
        self._beats[beat.instance] = beat
