"""
Brokers of both kinds, started once; streams and buckets made anew for every test.

`brokers` runs each test twice, `@ONLY_EMBEDDED` once (a server that can be killed).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest

from lean_lite.bus import Bus, connect
from lean_lite.config import BusConfig
from lean_lite.protocol.permissions import ADMIN
from tests.harness.brokers import KINDS, Brokers
from tests.harness.relay import Relay
from tests.harness.services import Services
from tests.harness.streams import make_anew

Join = Callable[..., Awaitable[Bus]]


@pytest.fixture(
    scope="session", params=[pytest.param(kind, marks=pytest.mark.containers) for kind in KINDS]
)
def brokers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Brokers]:
    with KINDS[request.param](tmp_path_factory.mktemp(request.param)) as running:
        yield running


@pytest.fixture
def lease_ttl_s() -> float:
    """How long a lease lasts; a test may name another time."""
    return 2.0


@pytest.fixture
async def admin(brokers: Brokers, lease_ttl_s: float) -> AsyncIterator[Bus]:
    """Return the admin's bus once streams and buckets are there and empty."""
    bus = await connect(brokers.config(ADMIN, lease_ttl_s), ADMIN, name="admin")
    await make_anew(bus)
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
    """Stand between one client and the server."""
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
