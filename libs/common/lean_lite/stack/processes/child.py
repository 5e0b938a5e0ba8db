"""
ChildProcess: a process that dies with its parent.

On Linux the kernel sends SIGKILL to the child when its parent ends, however it ends. The kernel
counts the *thread* that started the child as the parent: start children from the main thread, or
from one that lives as long as they do. macOS has no such signal: there a child outlives a parent
that was killed, and only an orderly stop ends it.
"""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from lean_lite.errors import StackError
from lean_lite.stack.processes.child_log import ChildLog

PR_SET_PDEATHSIG = 1
EXIT_CHECK_S = 0.1
STOP_CHECK_S = 0.01
# A killed process ends within milliseconds; on a machine short of memory it may take seconds.
KILL_S = 5.0

# Loaded here because nothing may be imported between fork and exec.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class ChildProcess:
    """
    One program, started as often as needed, with its output in a log file.

    Without `environment` it inherits the environment of this process.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: ChildLog,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._command = tuple(command)
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the last start, 0 before the first."""
        return self._process.pid if self._process else 0

    @property
    def exit_code(self) -> int | None:
        """Exit code of the last start (negative: a signal), None while it runs."""
        return self._process.poll() if self._process else None

    @property
    def running(self) -> bool:
        """Whether it was started and has not exited."""
        return self._process is not None and self.exit_code is None

    def start(self) -> None:
        """Start the program; StackError when it can't be executed."""
        with self.log.open() as output:
            try:
                # In its own session it does not receive the terminal's Ctrl-C: the parent stops it.
                self._process = subprocess.Popen(
                    self._command,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=die_with_parent(os.getpid()),  # noqa: PLW1509 - only two system calls
                )
            except OSError as error:
                message = f"{self.name} could not be started ({self._command[0]}): {error}"
                raise StackError(message) from error

    async def wait(self) -> int:
        """Wait until it exits; return the exit code."""
        while (code := self.exit_code) is None:  # noqa: ASYNC110 - no event for it on every system
            await asyncio.sleep(EXIT_CHECK_S)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the program and its own children; nothing once it has exited."""
        if self.running:
            os.killpg(self.pid, number)


async def stop_children(children: Iterable[ChildProcess], *, limit_s: float) -> list[str]:
    """
    Terminate all children together, kill those that still run after `limit_s`.

    Returns the names of the killed ones, `KILL_S` after the limit at the latest.
    """
    running = [child for child in children if child.running]
    for child in running:
        child.send_signal(signal.SIGTERM)
    await _wait_for_exit(running, limit_s)
    killed = [child for child in running if child.running]
    for child in killed:
        child.send_signal(signal.SIGKILL)
    await _wait_for_exit(killed, KILL_S)
    return [child.name for child in killed]


async def _wait_for_exit(children: Sequence[ChildProcess], limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while any(child.running for child in children) and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(STOP_CHECK_S)


def die_with_parent(parent: int) -> Callable[[], None] | None:
    """Return the `preexec_fn` of a process that dies with `parent`; None where there is none."""
    if _libc is None:
        return None
    prctl = _libc.prctl

    def in_child() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # The signal is not sent for a parent that ended before the call above.
        if os.getppid() != parent:
            os._exit(1)

    return in_child
