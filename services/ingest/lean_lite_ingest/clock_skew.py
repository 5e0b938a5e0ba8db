"""Notice when this machine's clock and the feed's disagree."""

import logging
import time

from lean_lite.model.timestamps import SECOND_NS

# A bar is sent after its end, so one that comes clearly before it tells of a clock that is behind.
TOLERATED_NS = SECOND_NS
LOG_EVERY_S = 60.0

log = logging.getLogger(__name__)


class ClockSkewMonitor:
    """Compare the end of each live bar with its arrival, and say once a minute what is wrong."""

    def __init__(self, feed: str) -> None:
        """Say nothing before the first bar."""
        self._feed = feed
        self._said_at: float | None = None
        self.behind_ns = 0

    def check(self, end_ns: int, received_ns: int) -> bool:
        """Note a live bar; return whether it came before it was over."""
        self.behind_ns = max(end_ns - received_ns, 0)
        if self.behind_ns <= TOLERATED_NS:
            return False
        if self._said_at is None or time.monotonic() - self._said_at > LOG_EVERY_S:
            self._said_at = time.monotonic()
            log.warning("clock.behind", extra={"feed": self._feed, "todo": self.text})
        return True

    @property
    def text(self) -> str:
        """Return by how much, and what to do."""
        return (
            f"this machine's clock is at least {self.behind_ns / SECOND_NS:.1f} s behind the feed "
            f"{self._feed}: set it by NTP (`chronyc makestep` or `timedatectl set-ntp true`); "
            "until then bars are graded down as too early"
        )
