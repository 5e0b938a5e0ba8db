"""What callers wait for, which ends with the engine."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from lean_lite.bus.connection import TRANSIENT_ERRORS
from lean_lite.errors import BusUnavailable, StackError
from lean_lite.tasks import is_being_cancelled

LIMIT_S = 5.0
STOPPED = "the engine was stopped meanwhile: call `await engine.start()`, and ask again"


class PendingCalls:
    """Run what callers wait for as tasks, so that `stop` can end them while the bus is there."""

    def __init__(self) -> None:
        """Start with none."""
        self._under_way: set[asyncio.Task[Any]] = set()
        self._ended: set[asyncio.Task[Any]] = set()

    async def run[Result](self, work: Coroutine[Any, Any, Result]) -> Result:
        """
        Return the result of work.

        StackError when `stop` has ended it, BusUnavailable when the bus fails. Work goes with a
        caller who is cancelled.
        """
        task = asyncio.create_task(work)
        self._under_way.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            if is_being_cancelled() or task not in self._ended:
                raise
            raise StackError(STOPPED) from None
        except Exception as error:
            if task in self._ended:
                raise StackError(STOPPED) from error
            if isinstance(error, TRANSIENT_ERRORS):
                message = f"the bus failed: {str(error) or repr(error)}; try it again"
                raise BusUnavailable(message) from error
            raise
        finally:
            self._under_way.discard(task)
            self._ended.discard(task)

    async def stop(self) -> None:
        """Cancel what is under way, and give it a moment to leave things in order."""
        ended = {task for task in self._under_way if not task.done()}
        self._ended |= ended
        for task in ended:
            task.cancel()
        if ended:
            await asyncio.wait(ended, timeout=LIMIT_S)
