"""Start again what dies."""

import asyncio
import logging
import time
from collections.abc import Callable

from lean_lite.errors import StackError
from lean_lite.stack.processes.child import ChildProcess

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
STEADY_S = 10.0

log = logging.getLogger(__name__)


class Restarter:
    """
    Keep children running: each is started again after a pause that doubles up to a limit.

    The pause is short again once a child has run for `STEADY_S`. `restarts` counts by name.
    """

    def __init__(self, on_exit: Callable[[ChildProcess, int], None]) -> None:
        """Keep nothing before `keep`; `on_exit` hears every exit first."""
        self.restarts: dict[str, int] = {}
        self._on_exit = on_exit
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def watch(self, child: ChildProcess) -> None:
        """Watch a child that runs."""
        self.restarts[child.name] = 0
        task = asyncio.create_task(self._restart_when_ended(child), name=f"keep {child.name}")
        self._tasks[child.name] = task

    async def unwatch(self, name: str) -> None:
        """Restart a child no more."""
        task = self._tasks.pop(name)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def stop(self) -> None:
        """Restart nothing any more."""
        for name in list(self._tasks):
            await self.unwatch(name)

    async def _restart_when_ended(self, child: ChildProcess) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            started_at = time.monotonic()
            code = await child.wait()
            steady = time.monotonic() - started_at > STEADY_S
            facts = {"child": child.name, "code": code, "said": child.log.last_error()}
            log.warning("stack.child_died", extra=facts)
            self._on_exit(child, code)
            pause_s = FIRST_PAUSE_S if steady else pause_s
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            self._start(child)

    def _start(self, child: ChildProcess) -> None:
        try:
            child.start()
        except StackError as error:
            log.warning("stack.restart_failed", extra={"child": child.name, "error": str(error)})
        else:
            self.restarts[child.name] += 1
