"""SimulatorClock, SimulatorSymbols: how a simulator differs from Alpaca."""

import asyncio
import time
import urllib.request
from collections.abc import Collection

import msgspec

from lean_lite.errors import FeedUnavailable

TIMEOUT_S = 5.0
TEST_SYMBOL = "FAKEPACA"
MAX_EXAMPLES = 8

# A simulator is on this machine or next to it: no proxy is in between.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


class ClockReading(msgspec.Struct):
    """The simulator's clock at one time of this machine's clock."""

    wall_ns: int
    feed_ns: int
    speed: float
    held: bool = False


class SimulatorClock:
    """
    Clock of a simulator, which stands until the first subscription.

    While it is not set, the last reading still serves as an estimate.
    """

    def __init__(self, rest_url: str) -> None:
        self._url = f"{rest_url}/sim/clock"
        self._reading = ClockReading(time.time_ns(), 0, 1.0)
        self._is_set = asyncio.Event()

    async def sync(self) -> None:
        """Read the simulator's clock; FeedUnavailable when it cannot be read."""
        self._reading = await asyncio.to_thread(_fetch, self._url, ClockReading)
        if not self._reading.held:
            self._is_set.set()

    async def wait_synced(self) -> None:
        """Wait until the clock runs and has been read."""
        await self._is_set.wait()

    def invalidate(self) -> None:
        """Mark the clock as not set: the next simulator at this address has another time."""
        self._is_set.clear()

    def feed_ns(self, wall_ns: int) -> int:
        """Convert a timestamp of this machine's clock to the simulator's time."""
        reading = self._reading
        speed = 0.0 if reading.held else reading.speed
        return reading.feed_ns + round((wall_ns - reading.wall_ns) * speed)

    def wall_s(self, feed_s: float) -> float:
        """Convert a duration in the simulator's time to one on this machine."""
        return feed_s / self._reading.speed


class SymbolList(msgspec.Struct):
    """The symbols of a simulator."""

    symbols: list[str]


class SimulatorSymbols:
    """Symbols of a simulator; they exist before the recording has a bar of them."""

    def __init__(self, rest_url: str) -> None:
        self._url = f"{rest_url}/sim/symbols"
        self._examples: list[str] = []

    async def fetch_existing(self, symbols: Collection[str]) -> set[str]:
        """Return those symbols that the simulator has; FeedUnavailable without a reply."""
        found = (await asyncio.to_thread(_fetch, self._url, SymbolList)).symbols
        self._examples = [symbol for symbol in found if symbol != TEST_SYMBOL][:MAX_EXAMPLES]
        return set(found) & set(symbols)

    @property
    def unknown_reason(self) -> str:
        """Why a symbol is refused, with some that are not."""
        *names, last = self._examples or [TEST_SYMBOL]
        examples = f"{', '.join(names)} or {last}" if names else last
        return (
            f"the simulator has no bars of it: use {examples}, or Alpaca's data with "
            "APCA_API_KEY_ID and APCA_API_SECRET_KEY"
        )


def _fetch[Reply](url: str, reply_type: type[Reply]) -> Reply:
    try:
        with _open(url, timeout=TIMEOUT_S) as response:
            return msgspec.json.decode(response.read(), type=reply_type)
    except (OSError, msgspec.MsgspecError) as error:
        message = f"the simulator does not reply at {url}: {error}"
        raise FeedUnavailable(message) from error
