"""FeedClock: the time of the simulated market."""

import asyncio
import time
from collections.abc import Callable

from lean_lite_sim.market.timestamps import SECOND_NS


class FeedClock:
    """
    Clock that maps wall time to feed time: `start + (wall - anchor) * speed`.

    All times are nanoseconds since 1970 (UTC). Without an anchor the clock is held at its start
    until `release`. Raises ValueError for a speed that is not above zero.
    """

    def __init__(
        self,
        anchor_wall_ns: int | None,
        start_ns: int,
        speed: float,
        *,
        wall_clock: Callable[[], int] = time.time_ns,
    ) -> None:
        if not speed > 0:
            message = f"speed must be above 0, not {speed}"
            raise ValueError(message)
        self.start_ns = start_ns
        self.speed = speed
        self._wall_clock = wall_clock
        self._anchor_wall_ns = anchor_wall_ns
        self._running = asyncio.Event()
        if anchor_wall_ns is not None:
            self._running.set()

    @property
    def held(self) -> bool:
        """Whether the clock has not started."""
        return self._anchor_wall_ns is None

    def release(self) -> None:
        """Start a held clock; a running one stays as it is."""
        if self._anchor_wall_ns is None:
            self._anchor_wall_ns = self._wall_clock()
            self._running.set()

    def now_ns(self) -> int:
        """Return the current feed time."""
        return self.feed_ns(self._wall_clock())

    def feed_ns(self, wall_ns: int) -> int:
        """Convert a wall time to feed time."""
        if self._anchor_wall_ns is None:
            return self.start_ns
        return self.start_ns + int((wall_ns - self._anchor_wall_ns) * self.speed)

    def reading(self) -> dict[str, int | float | bool]:
        """Return one consistent reading, with which another process can follow this clock."""
        wall_ns = self._wall_clock()
        return {
            "wall_ns": wall_ns,
            "feed_ns": self.feed_ns(wall_ns),
            "speed": self.speed,
            "held": self.held,
        }

    async def sleep_until(self, feed_ns: int) -> None:
        """Wait until a feed time; other tasks run at least once."""
        await self._running.wait()
        await asyncio.sleep(0)
        while (left_ns := feed_ns - self.now_ns()) > 0:  # noqa: ASYNC110 - time makes no event
            await asyncio.sleep(left_ns / SECOND_NS / self.speed)
