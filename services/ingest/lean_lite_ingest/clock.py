"""The clock of a feed: this machine's for Alpaca, the simulator's own for a simulator."""

import asyncio
import time
import urllib.error
import urllib.request
from typing import Protocol

import msgspec

from lean_lite.errors import FeedUnavailable

TIMEOUT_S = 5.0


class FeedClock(Protocol):
    """Tell the feed's time, nanoseconds since 1970 UTC."""

    async def sync(self) -> None:
        """Ask the feed for its time, when it has one of its own."""

    async def wait_synced(self) -> None:
        """Return when the clock is set."""

    def invalidate(self) -> None:
        """Forget the feed's time: it may have been stopped or moved."""

    def feed_ns(self, wall_ns: int) -> int:
        """Return the feed's time at a moment of this machine's clock."""

    def wall_s(self, feed_s: float) -> float:
        """Return how long a span of the feed's time takes here."""


class WallClock:
    """Be the clock of a feed that lives in real time."""

    async def sync(self) -> None:
        """Do nothing: the clock is always set."""

    async def wait_synced(self) -> None:
        """Return at once."""

    def invalidate(self) -> None:
        """Do nothing: the clock is always set."""

    def feed_ns(self, wall_ns: int) -> int:
        """Return the moment itself."""
        return wall_ns

    def wall_s(self, feed_s: float) -> float:
        """Return the span itself."""
        return feed_s


class ClockReading(msgspec.Struct):
    """Hold what a simulator says of its clock."""

    wall_ns: int
    feed_ns: int
    speed: float
    held: bool = False


class SimulatorClock:
    """Follow the clock of a simulator, which starts when somebody subscribes."""

    def __init__(self, rest_url: str) -> None:
        """Read from a simulator's REST address; unset before `set`."""
        self._url = f"{rest_url}/sim/clock"
        self._reading = ClockReading(time.time_ns(), 0, 1.0)
        self._is_set = asyncio.Event()

    async def sync(self) -> None:
        """Ask the simulator; FeedUnavailable when it does not answer."""
        self._reading = await asyncio.to_thread(self._read)
        if not self._reading.held:
            self._is_set.set()

    async def wait_synced(self) -> None:
        """Return when the clock runs and its reading is known."""
        await self._is_set.wait()

    def invalidate(self) -> None:
        """Forget the reading's validity; the last one still serves as an estimate."""
        self._is_set.clear()

    def feed_ns(self, wall_ns: int) -> int:
        """Return the simulator's time at a moment of this machine's clock."""
        reading = self._reading
        speed = 0.0 if reading.held else reading.speed
        return reading.feed_ns + round((wall_ns - reading.wall_ns) * speed)

    def wall_s(self, feed_s: float) -> float:
        """Return how long a span of the simulator's time takes here."""
        return feed_s / self._reading.speed

    def _read(self) -> ClockReading:
        try:
            with urllib.request.urlopen(self._url, timeout=TIMEOUT_S) as response:  # noqa: S310
                return msgspec.json.decode(response.read(), type=ClockReading)
        except (OSError, msgspec.MsgspecError) as error:
            message = f"the simulator does not tell its time at {self._url}: {error}"
            raise FeedUnavailable(message) from error
