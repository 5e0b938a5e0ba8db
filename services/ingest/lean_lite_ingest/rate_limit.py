"""Keep requests within a rate."""

import asyncio
import time


class RateLimit:
    """Let through so many requests per minute, a few of them at once."""

    def __init__(self, per_min: int, *, burst: int = 10) -> None:
        """Start full."""
        self._every_s = 60.0 / per_min
        self._burst = burst
        self._free_at = time.monotonic() - burst * self._every_s

    async def acquire(self) -> None:
        """Return when the next request may go out."""
        now = time.monotonic()
        self._free_at = max(self._free_at, now - self._burst * self._every_s) + self._every_s
        await asyncio.sleep(max(self._free_at - now, 0))
