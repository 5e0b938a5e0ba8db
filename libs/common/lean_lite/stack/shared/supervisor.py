"""A process of its own that owns a stack for as long as anybody uses it."""

import asyncio
import logging
import signal
from pathlib import Path

from lean_lite.config import Config
from lean_lite.errors import StackError
from lean_lite.stack.identity import account_of, mode_of
from lean_lite.stack.processes.simulator import SHARED
from lean_lite.stack.shared.users import UserLock
from lean_lite.stack.stack import Stack
from lean_lite.stack.state import new_state, read_state, remove_state, resume_state

log = logging.getLogger(__name__)


class Supervisor:
    """
    Own the stack of a folder until its last user has left, or until it is told to end.

    `lock` is the descriptor of the folder's lock, taken by whoever starts this process. After the
    death of a supervisor whose users are still there, this one goes on with its session.
    """

    def __init__(self, config: Config, folder: Path, lock: int) -> None:
        """Start nothing before `run`."""
        self._config = config
        self._folder = folder
        self._lock = lock
        self._users = UserLock(folder)

    async def run(self) -> None:
        """Return when everything has ended; LeanLiteError when the stack could not start."""
        told = asyncio.create_task(_on_signals(), name="wait for a signal")
        stack = await self._stack()
        work = asyncio.create_task(self._live(stack), name="live")
        await asyncio.wait([told, work], return_when=asyncio.FIRST_COMPLETED)
        failure = work.exception() if work.done() else None
        if failure is None:
            # From here on nobody takes the death of this process for an accident.
            self._forget()
        for task in (told, work):
            task.cancel()
        await asyncio.gather(told, work, return_exceptions=True)
        await stack.stop()
        log.info("supervisor.ended")
        if failure is not None:
            raise failure

    async def _stack(self) -> Stack:
        left = read_state(self._folder) if self._users.in_use() else None
        if left is None:
            self._forget()
            session = new_state(self._config)
        else:
            check_same_account(self._config, left.feed, left.account, str(self._folder))
            session = await resume_state(left)
        simulated = mode_of(self._config) == "demo"
        return Stack(
            self._config,
            folder=self._folder,
            simulator=SHARED.with_settings(self._config.stack) if simulated else None,
            state=session,
            lock=self._lock,
            resumes=left is not None,
        )

    async def _live(self, stack: Stack) -> None:
        await stack.start()
        log.info("supervisor.ready", extra={"metrics": stack.metrics_url})
        for reason in stack.outside:
            log.warning("supervisor.ready_without", extra={"reason": reason})
        await self._users.wait_until_unused(self._config.stack.linger_s)
        log.info("supervisor.nobody_is_left")

    def _forget(self) -> None:
        remove_state(self._folder)
        self._users.allow_stop()


def check_same_account(config: Config, feed: str, account: str, folder: str) -> None:
    """Raise StackError when a stack serves another feed or account than the settings ask for."""
    if account != account_of(config):
        other = f"account {account}, not {account_of(config)} (hashes of the key ids)"
    elif feed != config.alpaca.feed:
        other = f"the feed {feed}, not {config.alpaca.feed}"
    else:
        return
    message = (
        f"the stack in {folder} serves {other}: end it with `lean-lite down`, "
        "or set `stack.folder` to another folder"
    )
    raise StackError(message)


async def _on_signals() -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    await told.wait()
    log.info("supervisor.told_to_end")
