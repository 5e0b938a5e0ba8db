"""Services as processes of their own, observed by their heartbeats."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import msgspec
from nats.aio.msg import Msg

from lean_lite.bus import Bus
from lean_lite.config import BusConfig, Config
from lean_lite.config.environment import child_environment
from lean_lite.protocol.heartbeat import Heartbeat
from lean_lite.protocol.subjects import HEARTBEATS
from lean_lite.stack.processes.child import ChildProcess
from lean_lite.stack.processes.child_log import ChildLog
from lean_lite.stack.processes.ports import free_port
from tests.harness.waiting import until

_decode = msgspec.msgpack.Decoder(Heartbeat).decode


class Process:
    """One process of a service, and its last heartbeat."""

    def __init__(self, child: ChildProcess, beats: Mapping[int, Heartbeat]) -> None:
        self._child = child
        self._beats = beats

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def beat(self) -> Heartbeat | None:
        return self._beats.get(self.pid)

    @property
    def instance(self) -> str:
        assert self.beat is not None
        return self.beat.instance

    @property
    def running(self) -> bool:
        return self._child.running

    @property
    def log(self) -> str:
        return self._child.log.path.read_text()

    async def ready(self) -> Self:
        """Wait until its heartbeat says that it is ready."""
        await until(
            lambda: self._is_running() and self.beat is not None, f"{self._child.name}'s heartbeat"
        )
        await until(
            lambda: self._is_running() and self.beat is not None and self.beat.ready,
            f"{self._child.name} to be ready",
        )
        return self

    def _is_running(self) -> bool:
        assert self.running, (
            f"{self._child.name} ended ({self._child.exit_code}): {self.log[-2000:]}"
        )
        return True

    def failing(self) -> str:
        return "; ".join(self.beat.failing) if self.beat else ""

    def counted(self, name: str) -> float:
        return sum(s.value for s in self.beat.counted(name)) if self.beat else 0.0

    async def count_now(self, name: str) -> float:
        """Read a counter from the process over HTTP, without the bus."""
        assert self.beat is not None
        url = f"{self.beat.url}/metrics"
        lines = (await asyncio.to_thread(_read, url)).splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        self.send(signal.SIGTERM)
        return await self.ended()

    async def kill(self) -> None:
        self._child.send_signal(signal.SIGKILL)
        await self.ended()

    async def ended(self) -> int:
        async with asyncio.timeout(60):
            return await self._child.wait()


class Services:
    """Start processes with settings of a test, and kill what still runs at its end."""

    def __init__(self, bus_config: Callable[[str], BusConfig], bus: Bus, folder: Path) -> None:
        self._bus_config = bus_config
        self._bus = bus
        self._folder = folder
        self._beats: dict[int, Heartbeat] = {}
        self._started: list[Process] = []

    async def __aenter__(self) -> Self:
        async def on_beat(message: Msg) -> None:
            beat = _decode(message.data)
            self._beats[beat.pid] = beat

        await self._bus.subscribe(HEARTBEATS, on_beat)
        await self._bus.flush()
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self._started:
            await process.kill()

    def start(self, name: str, **settings: Mapping[str, object]) -> Process:
        """Start `lean_lite_NAME`; keywords are sections of the settings."""
        given = {
            "bus": msgspec.structs.asdict(self._bus_config(name)),
            "service": {"heartbeat_s": 0.2},
            **settings,
        }
        environment = child_environment(Config().replace(**given).environment())
        number = len(self._started)
        log = ChildLog(self._folder / f"{name}-{number}.log")
        command = (sys.executable, "-m", f"lean_lite_{name}")
        child = ChildProcess(f"{name}-{number}", command, log, environment)
        child.start()
        self._started.append(Process(child, self._beats))
        return self._started[-1]


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
        return text


START_LIMIT_S = 40.0


class Server:
    """A broker that can be killed and started again on its port."""

    def __init__(self, command: list[str], port: int, folder: Path) -> None:
        self.command = command
        self.port = port
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + START_LIMIT_S
        while not self._listens():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _listens(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0


class Store:
    """The service as a process of its own."""

    def __init__(self, nats_url: str, folder: Path, redis_url: str) -> None:
        self.folder = folder
        self.file = folder / "store-0.sqlite"
        self.port = free_port()
        self.settings = {
            "LEAN_LITE_BUS__URL": nats_url,
            "LEAN_LITE_BUS__USER": "store",
            "LEAN_LITE_BUS__PASSWORD": "store",
            "LEAN_LITE_STORE__PATH": str(folder),
            "LEAN_LITE_STORE__REDIS_URL": redis_url,
            "LEAN_LITE_SERVICE__HEALTH_PORT": str(self.port),
        }
        self.log = folder.parent / "store.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **settings: str) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lean_lite_store"],
                env=os.environ | self.settings | settings,
                stderr=log,
            )

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(number)
        code = self.process.wait(20)
        self.process = None
        return code

    def failing(self) -> str:
        """Return why it is not ready; empty when it is ready."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5):
                return ""
        except urllib.error.HTTPError as error:
            with error:
                return error.read().decode()
        except OSError:
            return "not there"

    async def ready(self) -> None:
        await until(lambda: not self.failing())

    def counter(self, name: str) -> float:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as page:
            lines = page.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))
