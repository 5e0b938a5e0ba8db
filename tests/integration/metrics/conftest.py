"""A real NATS server and metrics in a process of its own."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

import msgspec
import pytest

from lean_lite.bus import Bus, connect
from lean_lite.config import BusConfig, Config
from lean_lite.config.environment import child_environment
from lean_lite.config.sections import Secret
from lean_lite.protocol.heartbeat import Heartbeat, Sample
from lean_lite.protocol.subjects import heartbeat as beat_subject
from lean_lite.stack.credentials import new_passwords
from lean_lite.stack.processes.brokers import NatsServer
from lean_lite.stack.processes.child import stop_children
from lean_lite.stack.processes.ports import free_port


class Nats(NamedTuple):
    """Hold a server's address and the passwords of its users."""

    url: str
    passwords: dict[str, str]

    def config(self, role: str) -> BusConfig:
        return BusConfig(url=self.url, user=role, password=Secret(self.passwords[role]))


class Instance:
    """Stand in for an instance of a service: publish its heartbeats."""

    def __init__(self, bus: Bus, service: str, instance: str, started_ns: int = 1) -> None:
        self._bus = bus
        self._service = service
        self._instance = instance
        self._started_ns = started_ns

    async def beat(self, counts: dict[str, float], failing: tuple[str, ...] = ()) -> None:
        samples = tuple(Sample(name, {"lane": "equity.1"}, value) for name, value in counts.items())
        heartbeat = Heartbeat(
            self._service,
            self._instance,
            4711,
            self._started_ns,
            time.time_ns(),
            failing,
            "http://127.0.0.1:1",
            "0.1.0",
            samples,
        )
        await self._bus.publish_message(beat_subject(self._service, self._instance), heartbeat)
        await self._bus.flush()


class Metrics(NamedTuple):
    """Hold a running metrics process."""

    url: str
    process: subprocess.Popen[str]

    async def text(self, path: str) -> str:
        return await asyncio.to_thread(self._read, path)

    async def json(self, path: str) -> Any:
        return json.loads(await self.text(path))

    async def until(self, path: str, condition: Callable[[Any], bool]) -> Any:
        """Poll until the reply meets the condition."""
        async with asyncio.timeout(20):
            while not condition(reply := await self.json(path)):
                await asyncio.sleep(0.05)
        return reply

    def _read(self, path: str) -> str:
        with urlopen(self.url + path, timeout=5) as reply:
            text: str = reply.read().decode()
            return text


@pytest.fixture
async def nats(tmp_path: Path) -> AsyncIterator[Nats]:
    passwords = new_passwords()
    server = NatsServer(tmp_path, passwords)
    await server.start(limit_s=20)
    yield Nats(server.url, passwords)
    await stop_children([server.child], limit_s=2)


@pytest.fixture
async def add_instance(nats: Nats) -> AsyncIterator[Callable[..., Any]]:
    buses: list[Bus] = []

    async def add_instance(service: str, instance: str, started_ns: int = 1) -> Instance:
        buses.append(await connect(nats.config(service), service, name=instance))
        return Instance(buses[-1], service, instance, started_ns)

    yield add_instance
    for bus in buses:
        await bus.close()


Launch = Callable[[int], subprocess.Popen[str]]


@pytest.fixture
def launch(nats: Nats) -> Iterator[Launch]:
    """Start metrics on a port, with its log on standard error."""
    started: list[subprocess.Popen[str]] = []

    def launch(port: int) -> subprocess.Popen[str]:
        config = Config().replace(
            bus=msgspec.structs.asdict(nats.config("metrics")),
            metrics={"port": port, "gone_s": 1.5},
            service={"heartbeat_s": 0.2},
        )
        command = [sys.executable, "-m", "lean_lite_metrics"]
        environment = child_environment(config.environment())
        started.append(
            subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        )
        return started[-1]

    yield launch
    for process in started:
        process.terminate()
        process.communicate()


@pytest.fixture
async def metrics(launch: Launch) -> Metrics:
    port = free_port()
    running = Metrics(f"http://127.0.0.1:{port}", launch(port))
    async with asyncio.timeout(30):
        while True:
            try:
                await running.text("/readyz")
            except OSError:
                assert running.process.poll() is None
                await asyncio.sleep(0.05)
            else:
                return running
