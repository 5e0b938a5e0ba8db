"""
Real brokers of two kinds: `embedded` from the wheels, `containers` from images.

NATS_IMAGE and REDIS_IMAGE name other images than the official ones; `make images` builds some
without a registry. Where there is no Docker, or no image, the container half is skipped; with
LEAN_LITE_REQUIRE_CONTAINERS=1 it fails instead.
"""

import asyncio
import gc
import os
import socket
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from signal import SIGKILL
from typing import TYPE_CHECKING, NoReturn

import pytest

from lean_lite.bus import server_config
from lean_lite.config import BusConfig
from lean_lite.config.sections import Secret
from lean_lite.stack.credentials import new_password, new_passwords
from lean_lite.stack.processes.brokers import NatsServer, ValkeyServer
from lean_lite.stack.processes.child import ChildProcess, stop_children
from lean_lite.stack.processes.ports import LOCALHOST

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

NATS_IMAGE = os.environ.get("NATS_IMAGE") or "nats:2.12-alpine"
REDIS_IMAGE = os.environ.get("REDIS_IMAGE") or "valkey/valkey:9.0-alpine"
NATS_PORT = 4222
VALKEY_PORT = 6379
CONFIG = "/etc/lean-lite-nats.conf"
START_S = 60.0


class Brokers:
    """Hold the addresses of a NATS server and a Valkey, and the passwords of NATS' users."""

    def __init__(
        self,
        nats_url: str,
        valkey_url: str,
        passwords: Mapping[str, str],
        nats: ChildProcess | None,
    ) -> None:
        self.nats_url = nats_url
        self.valkey_url = valkey_url
        self._passwords = passwords
        self._nats = nats

    def config(self, role: str, lease_ttl_s: float) -> BusConfig:
        return BusConfig(
            url=self.nats_url,
            user=role,
            password=Secret(self._passwords[role]),
            connect_timeout_s=30.0,
            lease_ttl_s=lease_ttl_s,
        )

    @property
    def nats(self) -> ChildProcess:
        """The server's process, for tests that kill it; only embedded ones have it."""
        assert self._nats is not None
        return self._nats

    async def kill_nats(self) -> None:
        self.nats.send_signal(SIGKILL)
        await self.nats.wait()

    async def start_nats(self) -> None:
        self.nats.start()
        port = int(self.nats_url.rpartition(":")[2])
        await asyncio.to_thread(_await_answer, port, b"", b"INFO ")


@contextmanager
def embedded(folder: Path) -> Iterator[Brokers]:
    passwords, password = new_passwords(), new_password()
    nats, valkey = NatsServer(folder, passwords), ValkeyServer(folder, password)
    try:
        asyncio.run(_start(nats, valkey))
        yield Brokers(nats.url, valkey.url, passwords, nats.child)
    finally:
        asyncio.run(end_all(nats.child, valkey.child))


async def _start(*servers: NatsServer | ValkeyServer) -> None:
    for server in servers:
        await server.start(limit_s=START_S)


async def end_all(*children: ChildProcess) -> None:
    await stop_children(children, limit_s=5)


@contextmanager
def containers(folder: Path) -> Iterator[Brokers]:
    # Read when testcontainers is imported; its reaper would be one more image to pull.
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    from docker.errors import DockerException
    from testcontainers.core.container import DockerContainer

    passwords, password = new_passwords(), new_password()
    config = folder / "nats.conf"
    config.write_text(server_config(passwords, port=NATS_PORT, folder="/data/js", host="0.0.0.0"))
    with ExitStack() as running:
        reason = ""
        try:
            nats = DockerContainer(NATS_IMAGE, command=f"-c {CONFIG}", ports=[NATS_PORT])
            nats.with_copy_into_container(config, CONFIG)
            valkey = DockerContainer(REDIS_IMAGE, ports=[VALKEY_PORT])
            valkey.with_command(["--requirepass", password, "--save", ""])
            nats_port = _run(running, nats, NATS_PORT)
            valkey_port = _run(running, valkey, VALKEY_PORT)
        except DockerException as error:
            reason = str(error)
        if reason:
            refuse(f"no containers of {NATS_IMAGE} and {REDIS_IMAGE} here: {reason}")
        _await_answer(nats_port, b"", b"INFO ")
        _await_answer(valkey_port, f"AUTH {password}\r\n".encode(), b"+OK")
        yield Brokers(
            f"nats://{LOCALHOST}:{nats_port}",
            f"redis://:{password}@{LOCALHOST}:{valkey_port}/0",
            passwords,
            None,
        )


def _run(running: ExitStack, container: "DockerContainer", port: int) -> int:
    running.callback(container.stop)
    container.start()
    return int(container.get_exposed_port(port))


def refuse(reason: str) -> NoReturn:
    """Skip the test, or fail it where containers are required."""
    with warnings.catch_warnings():
        # Docker's client leaves its socket open when no daemon answers.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    if os.environ.get("LEAN_LITE_REQUIRE_CONTAINERS"):
        pytest.fail(f"containers are required: {reason}")
    pytest.skip(reason)


def _await_answer(port: int, greeting: bytes, answer: bytes) -> None:
    """Wait for the server's own greeting: Docker listens on a published port before it does."""
    deadline = time.monotonic() + START_S
    while not _answers(port, greeting, answer):
        assert time.monotonic() < deadline, f"nothing answers on port {port}"
        time.sleep(0.05)


def _answers(port: int, greeting: bytes, answer: bytes) -> bool:
    try:
        with socket.create_connection((LOCALHOST, port), timeout=1) as client:
            client.sendall(greeting)
            return client.recv(1024).startswith(answer)
    except OSError:
        return False


KINDS = {"embedded": embedded, "containers": containers}
