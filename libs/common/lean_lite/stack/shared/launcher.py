"""Start a supervisor, a detached process that outlives the one that starts it."""

import subprocess
import sys
import threading
from pathlib import Path

from lean_lite.config import Config
from lean_lite.config.environment import child_environment
from lean_lite.errors import StackError
from lean_lite.stack.files import FileLock
from lean_lite.stack.folder import make_folder, owner_lock, unusable_folder, write_owner
from lean_lite.stack.processes.child_log import ChildLog

LOG = "supervisor.log"


class SupervisorLaunch:
    """An attempt to start a supervisor."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: ChildLog) -> None:
        self._process = process
        self._log = log
        # Collects the exit code whenever the supervisor exits, so that it never stays a zombie.
        threading.Thread(target=process.wait, name="supervisor", daemon=True).start()

    def check(self) -> None:
        """Raise StackError with the supervisor's last error if it has exited."""
        if self._process.returncode is not None:
            message = f"the stack could not start: {self._log.last_error()}; see {self._log.path}"
            raise StackError(message)


def launch_supervisor(config: Config, folder: Path) -> SupervisorLaunch | None:
    """
    Start a supervisor in a folder; None if another process runs or starts a stack there.

    The lock on the folder passes to the supervisor without being free in between. StackError when
    the folder can't be written.
    """
    try:
        make_folder(folder)
        lock = owner_lock(folder)
        if not lock.acquire():
            return None
    except OSError as error:
        raise unusable_folder(folder, error) from error
    log = ChildLog(folder / LOG)
    try:
        process = _start_process(config, folder, lock, log)
        write_owner(folder, process.pid)
        return SupervisorLaunch(process, log)
    except OSError as error:
        raise StackError(f"the stack could not be started: {error}") from error
    finally:
        lock.detach()


def _start_process(
    config: Config, folder: Path, lock: FileLock, log: ChildLog
) -> "subprocess.Popen[bytes]":
    descriptor = str(lock.descriptor)
    with log.open() as output:
        return subprocess.Popen(
            # -P: no file in the working folder can pass for one of our modules.
            (sys.executable, "-P", "-m", "lean_lite.stack", str(folder), descriptor),
            env=child_environment({**config.environment(), "PYTHONSAFEPATH": "1"}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(int(descriptor),),
            start_new_session=True,
        )
