"""Wait for a condition, also on a slow machine."""

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine
from typing import Any, overload

LIMIT_S = 60.0
POLL_S = 0.02


@overload
async def until[Result](
    condition: Callable[[], Coroutine[Any, Any, Result]],
    what: str = "a condition",
    limit_s: float = LIMIT_S,
) -> Result: ...


@overload
async def until[Result](
    condition: Callable[[], Result], what: str = "a condition", limit_s: float = LIMIT_S
) -> Result: ...


async def until(
    condition: Callable[[], Any], what: str = "a condition", limit_s: float = LIMIT_S
) -> Any:
    """Poll a condition, and return its first true result."""
    deadline = time.monotonic() + limit_s
    while True:
        result = condition()
        if inspect.isawaitable(result):
            result = await result
        if result:
            return result
        assert time.monotonic() < deadline, f"waited {limit_s:g} s for {what}; last: {result!r}"
        await asyncio.sleep(POLL_S)
