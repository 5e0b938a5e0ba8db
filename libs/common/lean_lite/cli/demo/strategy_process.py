"""StrategyProcess: a strategy in a process of its own, which is `lean-lite tail`."""

import asyncio
import os
import sys
from collections.abc import Callable, Sequence

import msgspec

from lean_lite.cli.tail import TailBar, TailLine, TailStart, TailSummary
from lean_lite.config import Config
from lean_lite.config.environment import child_environment
from lean_lite.errors import StackError
from lean_lite.stack.processes.child import die_with_parent

START_S = 20.0
STOP_S = 1.0

_decode = msgspec.json.Decoder(TailLine).decode


class StrategyProcess:
    """
    A child process that follows symbols from the first stored bar on.

    `delivered` counts its bars, `on_bar` is called with each; `summary` is its own at the end.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        config: Config,
        on_bar: Callable[[TailBar], None] | None = None,
    ) -> None:
        self._symbols = symbols
        self._config = config
        self._on_bar = on_bar
        self._subscribed = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self.delivered = 0
        self.summary: TailSummary | None = None

    async def start(self) -> None:
        """Start it and wait until it is subscribed; StackError when it is not in time."""
        command = [sys.executable, "-m", "lean_lite.cli", "tail", "--json", "--from-start"]
        self._process = await asyncio.create_subprocess_exec(
            *command,
            *self._symbols,
            env=child_environment(self._config.environment()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            preexec_fn=die_with_parent(os.getpid()),
        )
        self._reading = asyncio.create_task(self._read(self._process))
        subscribed = asyncio.create_task(self._subscribed.wait())
        await asyncio.wait(
            [subscribed, self._reading], timeout=START_S, return_when=asyncio.FIRST_COMPLETED
        )
        subscribed.cancel()
        if not self._subscribed.is_set():
            raise StackError("the strategy process could not start; see its output above")

    async def stop(self) -> None:
        """Terminate it and read its summary; kill it after `STOP_S`."""
        if self._process is None or self._reading is None:
            return
        if self._process.returncode is None:
            self._process.terminate()
        await asyncio.wait([self._reading], timeout=STOP_S)
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            raise RuntimeError("the process has no pipe")
        async for line in process.stdout:
            self._on_line(_decode(line))
        await process.wait()

    def _on_line(self, line: TailLine) -> None:
        match line:
            case TailStart():
                self._subscribed.set()
            case TailBar():
                self.delivered += 1
                if self._on_bar is not None:
                    self._on_bar(line)
            case TailSummary():
                self.summary = line
