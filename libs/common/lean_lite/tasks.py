"""Bring to an end what must not be cut off."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def whole[Result](work: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of work that goes on when we are cancelled; that is obeyed afterwards."""
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
        except Exception:  # noqa: BLE001 - it is raised below
            break
    if cancelled is not None:
        raise cancelled
    return task.result()
