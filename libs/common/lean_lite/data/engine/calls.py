"""PendingCalls: calls in progress, which a stop cancels."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from lean_lite.bus.connection import TRANSIENT_ERRORS
from lean_lite.errors import BusUnavailable, StackError
from lean_lite.tasks import is_being_cancelled

# How long a stop waits for cancelled calls to release what they hold.
STOP_S = 5.0
STOPPED = "the engine was stopped during the call: call `await engine.start()` and try again"


class PendingCalls:
    """Runs the calls of users as tasks, so that `stop` can end them while the bus is connected."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopped: set[asyncio.Task[Any]] = set()

    async def run[Result](self, work: Coroutine[Any, Any, Result]) -> Result:
        """
        Await work; it is cancelled with its caller, or by `stop`.

        Raises:
            StackError: `stop` has ended the work.
            BusUnavailable: the bus has failed.
        """
        task = asyncio.create_task(work)
        self._tasks.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            if is_being_cancelled() or task not in self._stopped:
                raise
            raise StackError(STOPPED) from None
        except Exception as error:
            if task in self._stopped:
                raise StackError(STOPPED) from error
            if isinstance(error, TRANSIENT_ERRORS):
                message = f"the bus failed: {str(error) or repr(error)}; try again"
                raise BusUnavailable(message) from error
            raise
        finally:
            self._tasks.discard(task)
            self._stopped.discard(task)

    async def stop(self) -> None:
        """Cancel all work in progress and wait until it has ended, `STOP_S` at most."""
        stopped = {task for task in self._tasks if not task.done()}
        self._stopped |= stopped
        for task in stopped:
            task.cancel()
        if stopped:
            await asyncio.wait(stopped, timeout=STOP_S)
