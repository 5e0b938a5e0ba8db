"""Helpers for asyncio tasks: shield work, recognise one's own cancellation, stop many together."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from typing import Any

log = logging.getLogger(__name__)


async def finish[Result](work: Coroutine[Any, Any, Result]) -> Result:
    """
    Run work to its end, even when the caller is cancelled in the meantime.

    The cancellation is raised afterwards. It hides an error of the work.
    """
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
    """
    Return whether the current task itself is cancelled.

    If it is not, a CancelledError comes from something it awaits, for example a future that user
    code has cancelled: then it is an error like any other.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def stop_all(stops: Iterable[Coroutine[Any, Any, object]], timeout_s: float) -> None:
    """
    Run all of `stops` concurrently and cancel those that take longer than `timeout_s`.

    One that fails is logged and does not keep the others from running.
    """
    tasks = [asyncio.create_task(stop) for stop in stops]
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=timeout_s)
    for task in late:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            log.warning("failed to stop cleanly: %s", outcome, exc_info=outcome)
    if late:
        log.warning("%s of %s did not stop within %g s", len(late), len(tasks), timeout_s)
