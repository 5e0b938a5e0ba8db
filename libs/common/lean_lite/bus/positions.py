"""
Positions of the consumers of history: back-pressure for its publisher.

A position is the BULK_RAW sequence of the last frame of a lane that a consumer has handled. Each
consumer writes one key of the bucket `positions`, which expires when the consumer is gone. The
publisher waits for the slowest one: the stream is bounded in bytes and would drop its oldest frames
before they were read.
"""

import asyncio
import time

import msgspec

from lean_lite.bus.connection import TRANSIENT_ERRORS, Bus, encode
from lean_lite.bus.consumer import Consumer, Frame
from lean_lite.bus.provisioning import POSITION_TTL_S
from lean_lite.protocol.subjects import POSITIONS

# Often enough that a publisher seldom waits, and rarely enough to cost little next to the frames.
REPORT_EVERY_S = 0.1
# An unchanged position is repeated before its key expires; three repetitions may be lost.
REPEAT_EVERY_S = POSITION_TTL_S / 4

_decode = msgspec.msgpack.Decoder(dict[str, int]).decode


class PositionReporter:
    """Reports the positions of one consumer under a key of its own."""

    def __init__(self, bus: Bus, key: str) -> None:
        self._bus = bus
        self._subject = f"$KV.{POSITIONS}.{key}"
        self._seqs: dict[str, int] = {}
        self._changed = True

    def update(self, lane: str, seq: int) -> None:
        """Set the position of a lane: all its frames up to `seq` are handled."""
        self._seqs[lane] = seq
        self._changed = True

    def forget(self, lane: str) -> None:
        """Remove a lane: another process reads it now."""
        self._seqs.pop(lane, None)

    async def run(self) -> None:
        """Publish changed positions, and unchanged ones before they expire, until cancelled."""
        published_at = 0.0
        while True:
            if self._changed or time.monotonic() - published_at > REPEAT_EVERY_S:
                self._changed = False
                published_at = time.monotonic()
                await self._publish()
            await asyncio.sleep(REPORT_EVERY_S)

    async def _publish(self) -> None:
        try:
            await self._bus.jetstream.publish(self._subject, encode(self._seqs))
        except TRANSIENT_ERRORS:
            self._changed = True


class _Reported(msgspec.Struct, frozen=True):
    seqs: dict[str, int]
    received_at: float


class SlowestConsumer:
    """
    Position of the slowest consumer that is alive.

    The members of the service `shared` divide the lanes among them; every member of the service
    `each` reads all lanes. While no member of a service is alive, no frame counts as handled.
    """

    def __init__(self, bus: Bus, *, shared: str, each: str) -> None:
        self._bus = bus
        self._shared = shared
        self._each = each
        self._reported: dict[str, _Reported] = {}
        self._received = asyncio.Event()

    async def run(self) -> None:
        """Read positions until cancelled."""
        subject = f"$KV.{POSITIONS}.>"
        await Consumer(self._bus, f"KV_{POSITIONS}", subject, self._on_position).run()

    async def wait_for(self, lane: str, seq: int) -> None:
        """Wait until every consumer has handled the frames of a lane up to a sequence."""
        while not self._is_handled(lane, seq):
            self._received.clear()
            await self._received.wait()

    def _is_handled(self, lane: str, seq: int) -> bool:
        # Only the owner of the lane reports it among the members of `shared`. A former owner may
        # still do so for a while, hence the maximum.
        owner = [seqs.get(lane, 0) for seqs in self._alive(self._shared)]
        readers = [seqs.get(lane, 0) for seqs in self._alive(self._each)]
        return max(owner, default=0) >= seq and min(readers, default=0) >= seq

    def _alive(self, service: str) -> list[dict[str, int]]:
        since = time.monotonic() - POSITION_TTL_S
        return [
            reported.seqs
            for key, reported in self._reported.items()
            if key.startswith(f"{service}.") and reported.received_at > since
        ]

    async def _on_position(self, frame: Frame) -> None:
        key = frame.subject.removeprefix(f"$KV.{POSITIONS}.")
        try:
            self._reported[key] = _Reported(_decode(frame.payload), time.monotonic())
        except msgspec.MsgspecError:
            return
        self._received.set()
