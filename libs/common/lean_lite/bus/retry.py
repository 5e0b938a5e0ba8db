"""Outlast a service or a broker that is starting again."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from lean_lite.bus.connection import TRANSIENT_ERRORS
from lean_lite.errors import BusUnavailable, Busy

LIMIT_S = 20.0
RETRY_S = 0.2


async def retry_unavailable[Result](
    attempt: Callable[[], Awaitable[Result]], limit_s: float | None = None
) -> Result:
    """Return what an attempt returns; one nobody answers is made again for 20 s, or so long."""
    until = time.monotonic() + (LIMIT_S if limit_s is None else limit_s)
    while True:
        try:
            return await attempt()
        except (Busy, BusUnavailable, *TRANSIENT_ERRORS):
            if time.monotonic() > until:
                raise
        await asyncio.sleep(RETRY_S)
