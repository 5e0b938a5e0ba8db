"""
Brokers of both kinds, started once; streams and buckets are created again for every test.

Tests run on the embedded brokers, those marked `BOTH_BROKERS` on containers too.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from functools import cache
from pathlib import Path

import msgspec
import pytest

from lean_lite.bus import Bus, connect
from lean_lite.config import BusConfig
from lean_lite.protocol.permissions import ADMIN
from tests.harness.brokers import KINDS, Brokers
from tests.harness.relay import Relay
from tests.harness.services import Services
from tests.harness.streams import recreate

Join = Callable[..., Awaitable[Bus]]


@pytest.fixture(scope="session")
def started_brokers(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], Brokers]]:
    """Start each kind of broker when the first test asks for it."""
    with ExitStack() as running:

        @cache
        def start(kind: str) -> Brokers:
            return running.enter_context(KINDS[kind](tmp_path_factory.mktemp(kind)))

        yield start


@pytest.fixture
def broker_kind() -> str:
    """Return the kind of broker that the test runs on."""
    return "embedded"


@pytest.fixture
def brokers(started_brokers: Callable[[str], Brokers], broker_kind: str) -> Brokers:
    return started_brokers(broker_kind)


@pytest.fixture
def lease_ttl_s() -> float:
    """Return the lease time; a test may set another one."""
    return 2.0


@pytest.fixture
async def admin(brokers: Brokers, lease_ttl_s: float) -> AsyncIterator[Bus]:
    """Return the admin's bus once streams and buckets exist and are empty."""
    bus = await connect(brokers.config(ADMIN, lease_ttl_s), ADMIN, name="admin")
    await recreate(bus)
    yield bus
    await bus.close()


@pytest.fixture
async def join(brokers: Brokers, lease_ttl_s: float, admin: Bus) -> AsyncIterator[Join]:
    """Connect as a role; keywords change the settings."""
    async with AsyncExitStack() as open_buses:

        async def join(role: str, **settings: object) -> Bus:
            given = msgspec.structs.replace(brokers.config(role, lease_ttl_s), **settings)
            bus = await connect(given, role, name=f"test {role}")
            open_buses.push_async_callback(bus.close)
            return bus

        yield join


@pytest.fixture
async def relay(brokers: Brokers) -> AsyncIterator[Relay]:
    """Return a relay between a client and the server."""
    async with Relay(brokers.nats_url) as relay:
        yield relay


@pytest.fixture
async def services(
    brokers: Brokers, lease_ttl_s: float, join: Join, tmp_path: Path
) -> AsyncIterator[Services]:
    """Start services as processes of their own; none outlives its test."""

    def config(role: str) -> BusConfig:
        return brokers.config(role, lease_ttl_s)

    async with Services(config, await join("metrics"), tmp_path) as services:
        yield services
