"""
A process that dies with its parent.

On Linux the kernel sends SIGKILL to the child when its parent ends, however it ends. The signal
comes already when the *thread* that started the child ends, so start children from the main
thread, or from one that lives as long as they shall. On macOS there is no such signal: there a
child outlives a parent that was killed, and only an orderly stop ends it.
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
LOOK_S = 0.1
LOOK_STOPPING_S = 0.01

# Loaded here because nothing may be imported between fork and exec.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class ChildProcess:
    """Start one program, as often as needed, with its output in a log file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: ChildLog,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start nothing before `start`; without an environment the child inherits ours."""
        self.name = name
        self.log = log
        self._command = tuple(command)
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the process id of the last start, 0 before the first."""
        return self._process.pid if self._process else 0

    @property
    def exit_code(self) -> int | None:
        """Return the exit code (negative: a signal), None while it runs."""
        return self._process.poll() if self._process else None

    @property
    def running(self) -> bool:
        """Say whether it has been started and has not ended."""
        return self._process is not None and self.exit_code is None

    def start(self) -> None:
        """Start the program; StackError when it can't be executed."""
        with self.log.open() as output:
            try:
                # A session of its own keeps the terminal's Ctrl-C away: the parent stops it.
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
        """Return the exit code once it has ended."""
        while (code := self.exit_code) is None:  # noqa: ASYNC110 - nothing tells us on every system
            await asyncio.sleep(LOOK_S)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the program and whatever it has started, when it still runs."""
        if self.running:
            os.killpg(self.pid, number)


async def stop_children(children: Iterable[ChildProcess], *, limit_s: float) -> list[str]:
    """
    Ask all of them to end at once, kill what still runs after the limit; return who was killed.

    Takes a tenth of a second longer than the limit at most, unless the kernel holds a process.
    """
    running = [child for child in children if child.running]
    for child in running:
        child.send_signal(signal.SIGTERM)
    await _wait_until_ended(running, limit_s)
    killed = [child for child in running if child.running]
    for child in killed:
        child.send_signal(signal.SIGKILL)
    await _wait_until_ended(killed, 0.1)
    return [child.name for child in killed]


async def _wait_until_ended(children: Sequence[ChildProcess], limit_s: float) -> None:
    until = time.monotonic() + limit_s
    while any(child.running for child in children) and time.monotonic() < until:  # noqa: ASYNC110
        await asyncio.sleep(LOOK_STOPPING_S)


def die_with_parent(parent: int) -> Callable[[], None] | None:
    """Return what a new process runs before its program, so that it dies with its parent."""
    if _libc is None:
        return None
    prctl = _libc.prctl

    def in_child() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # A parent that died before the call above sends no signal any more.
        if os.getppid() != parent:
            os._exit(1)

    return in_child
