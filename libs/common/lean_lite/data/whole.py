"""Bring to an end what must not be cut off."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def whole(work: Coroutine[Any, Any, None]) -> None:
    """Await what must not be cut off; who cancels us meanwhile is obeyed afterwards."""
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    task.result()
