"""End the stack of this machine, whoever uses it."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lean_lite.config import Config
from lean_lite.errors import StackError
from lean_lite.stack.folder import MODES, default_folder, owner_lock, read_owner
from lean_lite.stack.processes.pid import is_same_process, start_time
from lean_lite.stack.shared.users import UserLock
from lean_lite.stack.state import remove_state

END_S = 10.0
KILLED_S = 5.0
EXIT_S = 3.0
LOOK_S = 0.05


async def end_stack(config: Config) -> list[int]:
    """
    End what runs or starts in the default folders; return the processes that owned it.

    Asks first, kills after ten seconds; returns when the folders are free. StackError when a
    process can't be ended.
    """
    ended = []
    for mode in MODES:
        folder = default_folder(config, mode)
        if pid := read_owner(folder):
            await _end(folder, pid)
            ended.append(pid)
        elif folder.exists():
            # Nobody shall go on with what a killed supervisor has left.
            _remove_leftovers(folder)
    return ended


async def _end(folder: Path, pid: int) -> None:
    started_at = start_time(pid)
    for number, limit_s in ((signal.SIGTERM, END_S), (signal.SIGKILL, KILLED_S)):
        try:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        except PermissionError as error:
            message = f"process {pid} runs the stack in {folder} and belongs to another user"
            raise StackError(message) from error
        _remove_leftovers(folder)
        if await _within(limit_s, lambda: _is_free(folder)):
            await _within(EXIT_S, lambda: not is_same_process(pid, started_at))
            return
    message = f"process {pid} does not end: it still holds {folder}; end it by hand"
    raise StackError(message)


async def _within(limit_s: float, condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + limit_s
    while not (met := condition()) and time.monotonic() < until:  # noqa: ASYNC110
        await asyncio.sleep(LOOK_S)
    return met


def _is_free(folder: Path) -> bool:
    lock = owner_lock(folder)
    free = lock.acquire()
    lock.release()
    return free


def _remove_leftovers(folder: Path) -> None:
    remove_state(folder)
    UserLock(folder).allow_stop()
