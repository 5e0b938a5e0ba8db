"""FeedClock, WallClock and ClockSkewMonitor: a feed's time, and whether this machine's is wrong."""

import logging
import time
from typing import Protocol

from lean_lite.bus.retry import retry
from lean_lite.errors import FeedUnavailable
from lean_lite.model.timestamps import SECOND_NS

# A vendor sends a bar after its end. If one arrives clearly before, this machine's clock is behind.
TOLERATED_NS = SECOND_NS
LOG_EVERY_S = 60.0

log = logging.getLogger(__name__)


class FeedClock(Protocol):
    """Clock of a feed, in nanoseconds since 1970 UTC."""

    async def sync(self) -> None:
        """Read the feed's time; FeedUnavailable when it cannot be read."""

    async def wait_synced(self) -> None:
        """Wait until the clock is set."""

    def invalidate(self) -> None:
        """Mark the clock as not set: the feed's time may have been stopped or moved."""

    def feed_ns(self, wall_ns: int) -> int:
        """Convert a timestamp of this machine's clock to the feed's time."""

    def wall_s(self, feed_s: float) -> float:
        """Convert a duration in the feed's time to one on this machine."""


class WallClock:
    """Clock of a feed that runs in real time."""

    async def sync(self) -> None:
        """Do nothing: the clock is always set."""

    async def wait_synced(self) -> None:
        """Return immediately."""

    def invalidate(self) -> None:
        """Do nothing: the clock is always set."""

    def feed_ns(self, wall_ns: int) -> int:
        """Return the timestamp unchanged."""
        return wall_ns

    def wall_s(self, feed_s: float) -> float:
        """Return the duration unchanged."""
        return feed_s


async def sync_clock(clock: FeedClock, feed: str) -> None:
    """Read the feed's time, and retry until it can be read."""

    def on_retry(error: Exception) -> None:
        log.warning("clock.sync_failed", extra={"feed": feed, "error": str(error)})

    await retry(clock.sync, (FeedUnavailable,), on_retry=on_retry)


class ClockSkewMonitor:
    """Detector of a local clock that is behind the feed's; warns once a minute."""

    def __init__(self, feed: str) -> None:
        self._feed = feed
        self._logged_at: float | None = None
        self.behind_ns = 0

    def check(self, end_ns: int, received_ns: int) -> bool:
        """Compare the end of a live bar with its receipt; return whether it was received before."""
        self.behind_ns = max(end_ns - received_ns, 0)
        if self.behind_ns <= TOLERATED_NS:
            return False
        if self._logged_at is None or time.monotonic() - self._logged_at > LOG_EVERY_S:
            self._logged_at = time.monotonic()
            log.warning("clock.behind", extra={"feed": self._feed, "todo": self.text})
        return True

    @property
    def text(self) -> str:
        """By how much the clock is behind, and what to do."""
        return (
            f"this machine's clock is at least {self.behind_ns / SECOND_NS:.1f} s behind the feed "
            f"{self._feed}: set it by NTP (`chronyc makestep` or `timedatectl set-ntp true`); "
            "until then bars are graded down as too early"
        )
