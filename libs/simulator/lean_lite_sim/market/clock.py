"""The feed clock: what time it is in the simulated market."""

import asyncio
import time
from collections.abc import Callable

from lean_lite_sim.market.timestamps import SECOND_NS


class FeedClock:
    """
    Map the wall clock onto feed time: `start + (wall - anchor) * speed`.

    All times are nanoseconds since 1970. Without an anchor the clock is held: it stands at its
    start until `release`. Raises ValueError for a speed that is not above zero.
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
        """Whether the clock still stands at its start."""
        return self._anchor_wall_ns is None

    def release(self) -> None:
        """Let a held clock run from now on; a running clock is left alone."""
        if self._anchor_wall_ns is None:
            self._anchor_wall_ns = self._wall_clock()
            self._running.set()

    def now_ns(self) -> int:
        """Give the feed time of this moment."""
        return self.feed_ns(self._wall_clock())

    def feed_ns(self, wall_ns: int) -> int:
        """Give the feed time at a moment of the wall clock."""
        if self._anchor_wall_ns is None:
            return self.start_ns
        return self.start_ns + int((wall_ns - self._anchor_wall_ns) * self.speed)

    def reading(self) -> dict[str, int | float | bool]:
        """Give one consistent reading, from which another process can follow this clock."""
        wall_ns = self._wall_clock()
        return {
            "wall_ns": wall_ns,
            "feed_ns": self.feed_ns(wall_ns),
            "speed": self.speed,
            "held": self.held,
        }

    async def sleep_until(self, feed_ns: int) -> None:
        """Wait until feed time has reached an instant; always lets other tasks run once."""
        await self._running.wait()
        await asyncio.sleep(0)
        while (left_ns := feed_ns - self.now_ns()) > 0:  # noqa: ASYNC110 - time makes no event
            await asyncio.sleep(left_ns / SECOND_NS / self.speed)
