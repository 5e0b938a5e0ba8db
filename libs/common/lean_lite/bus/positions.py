"""
How far the consumers of history have come, so that its publisher never runs far ahead of them.

A position is the BULK_RAW sequence of the last frame of a lane that a consumer is done with. Each
consumer keeps one key in the bucket `positions`, which expires when it falls silent.
"""

import asyncio
import time

import msgspec

from lean_lite.bus.connection import TRANSIENT_ERRORS, Bus, encode
from lean_lite.bus.consumer import Consumer, Frame
from lean_lite.bus.provisioning import POSITION_TTL_S
from lean_lite.protocol.subjects import POSITIONS

EVERY_S = 0.1
REPEAT_S = POSITION_TTL_S / 4

_decode = msgspec.msgpack.Decoder(dict[str, int]).decode


class PositionReporter:
    """Tell how far one consumer has come."""

    def __init__(self, bus: Bus, key: str) -> None:
        """Tell nothing before `run`."""
        self._bus = bus
        self._subject = f"$KV.{POSITIONS}.{key}"
        self._seqs: dict[str, int] = {}
        self._changed = True

    def update(self, lane: str, seq: int) -> None:
        """Note that a lane is done up to a sequence."""
        self._seqs[lane] = seq
        self._changed = True

    def forget(self, lane: str) -> None:
        """Note that somebody else works on a lane now."""
        self._seqs.pop(lane, None)

    async def run(self) -> None:
        """Tell what has changed, and now and then that nothing has, until cancelled."""
        told_at = 0.0
        while True:
            if self._changed or time.monotonic() - told_at > REPEAT_S:
                self._changed = False
                told_at = time.monotonic()
                await self._publish()
            await asyncio.sleep(EVERY_S)

    async def _publish(self) -> None:
        try:
            await self._bus.jetstream.publish(self._subject, encode(self._seqs))
        except TRANSIENT_ERRORS:
            self._changed = True


class _Reported(msgspec.Struct, frozen=True):
    seqs: dict[str, int]
    received_at: float


class SlowestConsumer:
    """Know how far the slowest living consumer has come."""

    def __init__(self, bus: Bus, *, shared: str, each: str) -> None:
        """
        Know nothing before `run`.

        The members of the service `shared` divide the lanes among them; every member of the service
        `each` reads all lanes. While nobody of a service lives, nothing counts as done.
        """
        self._bus = bus
        self._shared = shared
        self._each = each
        self._said: dict[str, _Reported] = {}
        self._heard = asyncio.Event()

    async def run(self) -> None:
        """Hear positions until cancelled."""
        subject = f"$KV.{POSITIONS}.>"
        await Consumer(self._bus, f"KV_{POSITIONS}", subject, self._on_position).run()

    async def wait_for(self, lane: str, seq: int) -> None:
        """Return when every living consumer is done with a lane up to a sequence."""
        while not self._min_seq(lane, seq):
            self._heard.clear()
            await self._heard.wait()

    def _min_seq(self, lane: str, seq: int) -> bool:
        owner = [seqs.get(lane, 0) for seqs in self._alive(self._shared)]
        readers = [seqs.get(lane, 0) for seqs in self._alive(self._each)]
        return max(owner, default=0) >= seq and min(readers, default=0) >= seq

    def _alive(self, service: str) -> list[dict[str, int]]:
        since = time.monotonic() - POSITION_TTL_S
        return [
            said.seqs
            for key, said in self._said.items()
            if key.startswith(f"{service}.") and said.received_at > since
        ]

    async def _on_position(self, frame: Frame) -> None:
        key = frame.subject.removeprefix(f"$KV.{POSITIONS}.")
        try:
            self._said[key] = _Reported(_decode(frame.payload), time.monotonic())
        except msgspec.MsgspecError:
            return
        self._heard.set()
