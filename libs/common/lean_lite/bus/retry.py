"""Retry a call that failed: back-off, jitter, a limit."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from math import inf

from lean_lite.bus.connection import TRANSIENT_ERRORS
from lean_lite.errors import BusUnavailable, Busy

# A server or a service that restarts is back within seconds. Short pauses notice it soon. Their
# mean, a quarter of a second, does not overload a server that hundreds of clients wait for.
FIRST_S = 0.1
MAX_S = 0.5
# Longer than a service needs to restart, or another one to take over its leases.
LIMIT_S = 20.0
UNAVAILABLE = (Busy, BusUnavailable, *TRANSIENT_ERRORS)


def backoff(first_s: float, max_s: float) -> Iterator[float]:
    """
    Yield the pauses between attempts in seconds, without end.

    Each is random between 0 and a ceiling that doubles from `first_s` to `max_s` ("full jitter"):
    clients that lost one server together do not return to it together.
    """
    ceiling_s = first_s
    while True:
        yield random.uniform(0, ceiling_s)  # noqa: S311 - no secret
        ceiling_s = min(2 * ceiling_s, max_s)


async def retry[Result](
    call: Callable[[], Awaitable[Result]],
    on: tuple[type[Exception], ...],
    *,
    first_s: float = FIRST_S,
    max_s: float = MAX_S,
    limit_s: float = inf,
    attempts: float = inf,
    on_retry: Callable[[Exception], None] | None = None,
) -> Result:
    """
    Call until it succeeds, and return its result.

    Errors of the types `on` are retried, until `limit_s` have passed or `attempts` were made: then
    the last one is raised. The limit bounds no attempt: a call needs a timeout of its own.
    `on_retry` is called with each error before its retry. All other errors and a cancellation are
    raised immediately.
    """
    pauses = backoff(first_s, max_s)
    until = time.monotonic() + limit_s
    while True:
        try:
            return await call()
        except on as error:
            attempts -= 1
            left_s = until - time.monotonic()
            if attempts <= 0 or left_s <= 0:
                raise
            if on_retry is not None:
                on_retry(error)
        # The last attempt is made when the limit is reached, not up to `max_s` before.
        await asyncio.sleep(min(next(pauses), left_s))


async def retry_unavailable[Result](
    call: Callable[[], Awaitable[Result]], limit_s: float = LIMIT_S
) -> Result:
    """Call until it succeeds; retry for `limit_s` while the bus or a service is unavailable."""
    return await retry(call, UNAVAILABLE, limit_s=limit_s)
