"""Tell a task that is to end from one that has only awaited something cancelled."""

import asyncio


def cancelled() -> bool:
    """Say whether the current task itself is cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
