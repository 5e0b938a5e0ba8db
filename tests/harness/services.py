"""Services as processes of their own, seen by what they tell the bus."""

import asyncio
import os
import signal
import sys
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import msgspec
from nats.aio.msg import Msg

from lean_lite.bus import Bus
from lean_lite.config import BusConfig, Config
from lean_lite.config.surroundings import child_environment
from lean_lite.messages import Beat
from lean_lite.stack.child import Child
from lean_lite.stack.log import ChildLog
from lean_lite.subjects import BEATS
from tests.integration.patience import until

_decode = msgspec.msgpack.Decoder(Beat).decode


class Process:
    """One process of a service, and the last that it told of itself."""

    def __init__(self, child: Child, beats: Mapping[int, Beat]) -> None:
        self._child = child
        self._beats = beats

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def beat(self) -> Beat | None:
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
        """Return once it says that nothing keeps it from working."""
        await until(lambda: self._lives() and self.beat is not None, f"{self._child.name}'s beat")
        await until(
            lambda: self._lives() and self.beat is not None and self.beat.ready,
            f"{self._child.name} to be ready",
        )
        return self

    def _lives(self) -> bool:
        assert self.running, f"{self._child.name} ended ({self._child.code}): {self.log[-2000:]}"
        return True

    def failing(self) -> str:
        return "; ".join(self.beat.failing) if self.beat else ""

    def counted(self, name: str) -> float:
        return sum(s.value for s in self.beat.counted(name)) if self.beat else 0.0

    async def count_now(self, name: str) -> float:
        """Ask the process itself, without the bus."""
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
        self._child.send(signal.SIGKILL)
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
        self._beats: dict[int, Beat] = {}
        self._started: list[Process] = []

    async def __aenter__(self) -> Self:
        async def on_beat(message: Msg) -> None:
            beat = _decode(message.data)
            self._beats[beat.pid] = beat

        await self._bus.subscribe(BEATS, on_beat)
        await self._bus.barrier()
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self._started:
            await process.kill()

    def start(self, name: str, **settings: Mapping[str, object]) -> Process:
        """Start `lean_lite_NAME`; keywords are sections of the settings."""
        given = {
            "bus": msgspec.structs.asdict(self._bus_config(name)),
            "service": {"beat_s": 0.2},
            **settings,
        }
        environment = child_environment(Config().replace(**given).environment())
        number = len(self._started)
        log = ChildLog(self._folder / f"{name}-{number}.log")
        command = (sys.executable, "-m", f"lean_lite_{name}")
        child = Child(f"{name}-{number}", command, log, environment)
        child.start()
        self._started.append(Process(child, self._beats))
        return self._started[-1]


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
        return text
