"""Supervisor: a process that owns the shared stack as long as it is used."""

import asyncio
import logging
import signal
from pathlib import Path

from lean_lite.config import Config
from lean_lite.stack.identity import check_same_account, mode_of
from lean_lite.stack.processes.simulator import SHARED_STACK_OPTIONS
from lean_lite.stack.shared.users import UserLock
from lean_lite.stack.stack import Stack
from lean_lite.stack.state import new_state, read_state, remove_state, resume_state

log = logging.getLogger(__name__)


class Supervisor:
    """
    Owner of the stack in a folder, until its last user has left or a signal stops it.

    `lock` is the descriptor of the folder's lock, acquired by the process that starts this one. If
    the last supervisor was killed and its users are still there, this one resumes its state.
    """

    def __init__(self, config: Config, folder: Path, lock: int) -> None:
        self._config = config
        self._folder = folder
        self._lock = lock
        self._users = UserLock(folder)

    async def run(self) -> None:
        """Run the stack until it is stopped; LeanLiteError when it could not start."""
        signalled = asyncio.create_task(_wait_for_signal(), name="wait for a signal")
        stack = await self._make_stack()
        serving = asyncio.create_task(self._serve(stack), name="serve")
        await asyncio.wait([signalled, serving], return_when=asyncio.FIRST_COMPLETED)
        failure = serving.exception() if serving.done() else None
        if failure is None:
            # Before the children stop: users would otherwise restart the stack as after a crash.
            self._remove_state()
        for task in (signalled, serving):
            task.cancel()
        await asyncio.gather(signalled, serving, return_exceptions=True)
        await stack.stop()
        log.info("supervisor.stopped")
        if failure is not None:
            raise failure

    async def _make_stack(self) -> Stack:
        left = read_state(self._folder) if self._users.in_use() else None
        if left is None:
            self._remove_state()
            state = new_state(self._config)
        else:
            check_same_account(self._config, left.feed, left.account, str(self._folder))
            state = await resume_state(left)
        simulated = mode_of(self._config) == "demo"
        return Stack(
            self._config,
            folder=self._folder,
            simulator=SHARED_STACK_OPTIONS.with_settings(self._config.stack) if simulated else None,
            state=state,
            lock=self._lock,
            resume=left is not None,
        )

    async def _serve(self, stack: Stack) -> None:
        await stack.start()
        log.info("supervisor.ready", extra={"metrics": stack.metrics_url})
        for reason in stack.external_reasons:
            log.warning("supervisor.degraded", extra={"reason": reason})
        await self._users.wait_until_unused(self._config.stack.linger_s)
        log.info("supervisor.idle")

    def _remove_state(self) -> None:
        remove_state(self._folder)
        self._users.allow_stop()


async def _wait_for_signal() -> None:
    received = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, received.set)
    await received.wait()
    log.info("supervisor.stop_requested")
