"""Several endings at once, within one limit."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from typing import Any

log = logging.getLogger(__name__)


async def end_all(endings: Iterable[Coroutine[Any, Any, object]], limit_s: float) -> None:
    """Run all of them; one that fails is logged, and one that takes longer is cancelled."""
    tasks = [asyncio.create_task(ending) for ending in endings]
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
