"""Stop the stack of this machine, even while it is used."""

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

# A stack stops within three seconds; a loaded machine may need longer.
TERMINATE_S = 10.0
KILL_S = 5.0
EXIT_S = 3.0
CHECK_S = 0.05


async def end_stack(config: Config) -> list[int]:
    """
    Stop what runs or starts in the default folders; returns the processes that owned it.

    Terminates first, kills after ten seconds, and returns when the folders are unlocked. StackError
    when a process can't be stopped.
    """
    stopped = []
    for mode in MODES:
        folder = default_folder(config, mode)
        if pid := read_owner(folder):
            await _stop_owner(folder, pid)
            stopped.append(pid)
        elif folder.exists():
            # The supervisor was killed: its users must not resume its state.
            _remove_state(folder)
    return stopped


async def _stop_owner(folder: Path, pid: int) -> None:
    started_at = start_time(pid)
    for number, limit_s in ((signal.SIGTERM, TERMINATE_S), (signal.SIGKILL, KILL_S)):
        try:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        except PermissionError as error:
            message = f"process {pid} runs the stack in {folder} and belongs to another user"
            raise StackError(message) from error
        _remove_state(folder)
        if await _wait_for(lambda: _is_unlocked(folder), limit_s):
            await _wait_for(lambda: not is_same_process(pid, started_at), EXIT_S)
            return
    message = f"process {pid} can't be stopped and still locks {folder}: kill it by hand"
    raise StackError(message)


async def _wait_for(condition: Callable[[], bool], limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while not (met := condition()) and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(CHECK_S)
    return met


def _is_unlocked(folder: Path) -> bool:
    lock = owner_lock(folder)
    unlocked = lock.acquire()
    lock.release()
    return unlocked


def _remove_state(folder: Path) -> None:
    remove_state(folder)
    UserLock(folder).allow_stop()
