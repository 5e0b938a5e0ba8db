"""Wait for what must come, however slow the machine is."""

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine
from typing import Any, overload

LIMIT_S = 60.0
LOOK_S = 0.02


@overload
async def until[Found](
    look: Callable[[], Coroutine[Any, Any, Found]],
    what: str = "a condition",
    limit_s: float = LIMIT_S,
) -> Found: ...


@overload
async def until[Found](
    look: Callable[[], Found], what: str = "a condition", limit_s: float = LIMIT_S
) -> Found: ...


async def until(
    look: Callable[[], Any], what: str = "a condition", limit_s: float = LIMIT_S
) -> Any:
    """Look again and again, and return the first finding that is true."""
    deadline = time.monotonic() + limit_s
    while True:
        found = look()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, f"waited {limit_s:g} s for {what}; last: {found!r}"
        await asyncio.sleep(LOOK_S)
