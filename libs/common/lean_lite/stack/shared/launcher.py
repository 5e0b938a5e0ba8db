"""Start a supervisor that outlives the process that starts it."""

import subprocess
import sys
import threading
from pathlib import Path

from lean_lite.config import Config
from lean_lite.config.environment import child_environment
from lean_lite.errors import StackError
from lean_lite.stack.files import FileLock
from lean_lite.stack.folder import describe_unusable, make_folder, owner_lock, write_owner
from lean_lite.stack.processes.child_log import ChildLog

LOG = "supervisor.log"


class SupervisorLaunch:
    """Be one attempt to start a supervisor."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: ChildLog) -> None:
        """Use `launch` instead."""
        self._process = process
        self._log = log
        # Takes the exit code whenever it comes, so that no zombie is left behind.
        threading.Thread(target=process.wait, name="supervisor", daemon=True).start()

    def check(self) -> None:
        """Raise StackError with the supervisor's last words when it has ended."""
        if self._process.returncode is not None:
            message = f"the stack could not start: {self._log.last_error()}; see {self._log.path}"
            raise StackError(message)


def launch(config: Config, folder: Path) -> SupervisorLaunch | None:
    """
    Start a supervisor in a folder; None when somebody runs or starts a stack there already.

    The lock on the folder passes to the supervisor without ever being free. StackError when the
    folder can't be written.
    """
    try:
        make_folder(folder)
        lock = owner_lock(folder)
        if not lock.acquire():
            return None
    except OSError as error:
        raise describe_unusable(folder, error) from error
    log = ChildLog(folder / LOG)
    try:
        process = _start(config, folder, lock, log)
        write_owner(folder, process.pid)
        return SupervisorLaunch(process, log)
    except OSError as error:
        raise StackError(f"the stack could not be started: {error}") from error
    finally:
        lock.detach()


def _start(
    config: Config, folder: Path, lock: FileLock, log: ChildLog
) -> "subprocess.Popen[bytes]":
    descriptor = str(lock.descriptor)
    with log.open() as output:
        return subprocess.Popen(
            # With -P no file in the working folder passes for one of our modules.
            (sys.executable, "-P", "-m", "lean_lite.stack", str(folder), descriptor),
            env=child_environment({**config.environment(), "PYTHONSAFEPATH": "1"}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(int(descriptor),),
            start_new_session=True,
        )
