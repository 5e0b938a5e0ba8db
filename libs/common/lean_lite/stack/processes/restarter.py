"""Restarter: start children again when they exit."""

import asyncio
import logging
import time
from collections.abc import Callable

from lean_lite.errors import StackError
from lean_lite.stack.processes.child import ChildProcess

MIN_DELAY_S = 0.2
MAX_DELAY_S = 5.0
# Longer than any start: what runs for this long did not fail at its start.
STABLE_S = 10.0

log = logging.getLogger(__name__)


class Restarter:
    """
    Restarts children with exponential back-off.

    The delay is short again once a child has run for `STABLE_S`. `restarts` counts by name;
    `on_exit` is called with each child that exits and its exit code, before the delay.
    """

    def __init__(self, on_exit: Callable[[ChildProcess, int], None]) -> None:
        self.restarts: dict[str, int] = {}
        self._on_exit = on_exit
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def watch(self, child: ChildProcess) -> None:
        """Restart a running child from now on."""
        self.restarts[child.name] = 0
        task = asyncio.create_task(self._run(child), name=f"restart {child.name}")
        self._tasks[child.name] = task

    async def unwatch(self, name: str) -> None:
        """Stop restarting a child."""
        task = self._tasks.pop(name)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def stop(self) -> None:
        """Stop restarting all children."""
        for name in list(self._tasks):
            await self.unwatch(name)

    async def _run(self, child: ChildProcess) -> None:
        delay_s = MIN_DELAY_S
        while True:
            started_at = time.monotonic()
            code = await child.wait()
            stable = time.monotonic() - started_at > STABLE_S
            fields = {"child": child.name, "code": code, "error": child.log.last_error()}
            log.warning("child.exited", extra=fields)
            self._on_exit(child, code)
            delay_s = MIN_DELAY_S if stable else delay_s
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, MAX_DELAY_S)
            self._restart(child)

    def _restart(self, child: ChildProcess) -> None:
        try:
            child.start()
        except StackError as error:
            log.warning("child.restart_failed", extra={"child": child.name, "error": str(error)})
        else:
            self.restarts[child.name] += 1
