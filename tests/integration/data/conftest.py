"""Validate and store as processes, a feeder before them, and a strategy behind them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from msgspec.structs import replace

from lean_lite.bus import Answer, Bus, Responder
from lean_lite.config import BusConfig, Config
from lean_lite.data import DataEngine, DataFeed, Live
from lean_lite.messages import SubscribeReply, SubscribeRequest
from lean_lite.subjects import SUBSCRIBE
from tests.integration.brokers import Brokers
from tests.integration.conftest import Join
from tests.integration.raw import Feeder
from tests.integration.services import Process, Services

Follow = Callable[..., Awaitable[Live]]
Engine = Callable[..., DataEngine]


@pytest.fixture
async def feeder(join: Join) -> AsyncIterator[Feeder]:
    """Stand in for ingest: publish frames, and accept every symbol."""
    bus = await join("ingest")
    responder = Responder(bus, "ingest", "ingest-0", "0.1.0")

    async def accept(request: SubscribeRequest) -> Answer:
        return Answer(SubscribeReply(request.symbols))

    await responder.start()
    await responder.add(SUBSCRIBE, SubscribeRequest, accept)
    await bus.barrier()
    yield Feeder(bus)
    await responder.stop()


@pytest.fixture
async def both(services: Services, brokers: Brokers, tmp_path: Path) -> tuple[Process, Process]:
    """Start validate and store at the same time."""
    settings = {"path": str(tmp_path / "bars"), "redis_url": brokers.valkey_url}
    validate = services.start("validate", validate={"head_every_s": 0.5})
    store = services.start("store", store=settings)
    return await validate.ready(), await store.ready()


@pytest.fixture
def validate(both: tuple[Process, Process]) -> Process:
    return both[0]


@pytest.fixture
def store(both: tuple[Process, Process]) -> Process:
    return both[1]


@pytest.fixture
async def follow(
    join: Join, validate: Process, store: Process, feeder: Feeder
) -> AsyncIterator[Follow]:
    """Follow symbols live, from the bus given or a new one."""
    async with AsyncExitStack() as following:

        async def follow(*symbols: str, bus: Bus | None = None, **more: object) -> Live:
            live = Live(bus or await join("client"), symbols, **more)  # type: ignore[arg-type]
            return await following.enter_async_context(live)

        yield follow


@pytest.fixture
def bus_config(brokers: Brokers, lease_ttl_s: float, admin: Bus) -> BusConfig:
    feed = brokers.config("feed", lease_ttl_s)
    config = brokers.config("client", lease_ttl_s)
    return replace(config, feed_user=feed.user, feed_password=feed.password)


@pytest.fixture
def engine(bus_config: BusConfig) -> Engine:
    def engine(*feeds: DataFeed) -> DataEngine:
        made = DataEngine(Config(bus=bus_config))
        for feed in feeds:
            made.add_feed(feed)
        return made

    return engine


@pytest.fixture
def pipeline(validate: Process, store: Process, feeder: Feeder) -> Feeder:
    return feeder
