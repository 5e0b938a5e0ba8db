"""Bring to an end what must not be cut off."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from typing import Any


async def finish[Result](work: Coroutine[Any, Any, Result]) -> Result:
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


def is_being_cancelled() -> bool:
    """Say whether the current task itself is cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


log = logging.getLogger(__name__)


async def stop_all(stops: Iterable[Coroutine[Any, Any, object]], limit_s: float) -> None:
    """Run all of them; one that fails is logged, and one that takes longer is cancelled."""
    tasks = [asyncio.create_task(ending) for ending in stops]
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=limit_s)
    for task in late:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            log.warning("not ended in order: %s", outcome, exc_info=outcome)
    if late:
        log.warning("%s of %s were not ended within %g s", len(late), len(tasks), limit_s)
