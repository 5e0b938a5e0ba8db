"""Validate and store as processes, with a feeder for their input and strategies that read."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from msgspec.structs import replace

from lean_lite.bus import Bus, ChunkedReply, Responder
from lean_lite.config import AlpacaConfig, BusConfig, Config
from lean_lite.data import DataEngine, DataFeed, Live
from lean_lite.market.symbols import asset_class_of
from lean_lite.protocol.control import (
    BackfillReply,
    BackfillRequest,
    SubscribeReply,
    SubscribeRequest,
)
from lean_lite.protocol.subjects import BACKFILL, SUBSCRIBE
from tests.harness.brokers import Brokers
from tests.harness.frames import Feeder
from tests.harness.services import Process, Services
from tests.integration.conftest import Join

Follow = Callable[..., Awaitable[Live]]
Engine = Callable[..., DataEngine]


class Account:
    """
    Accept every symbol with the account's feed, and wait while `answering` is unset.

    A backfill fails, or with `backfill_succeeds` ends without new bars.
    """

    def __init__(self) -> None:
        self.config = AlpacaConfig()
        self.answering = asyncio.Event()
        self.answering.set()
        self.subscribe_requests = 0
        self.backfill_succeeds = False

    async def accept(self, request: SubscribeRequest) -> ChunkedReply:
        self.subscribe_requests += 1
        await self.answering.wait()
        feeds = {symbol: self.config.feed_of(asset_class_of(symbol)) for symbol in request.symbols}
        return ChunkedReply(SubscribeReply(request.symbols, feeds=feeds))

    async def backfill(self, request: BackfillRequest) -> ChunkedReply:
        if self.backfill_succeeds:
            return ChunkedReply(BackfillReply(over=True, until_ns=0))
        return ChunkedReply(
            BackfillReply(over=True, until_ns=request.start_ns, failed="not recorded")
        )


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
async def feeder(join: Join, account: Account) -> AsyncIterator[Feeder]:
    """Stand in for ingest: publish frames, and accept every symbol."""
    bus = await join("ingest")
    responder = Responder(bus, "ingest", "ingest-0", "0.1.0")

    await responder.start()
    await responder.add_endpoint(SUBSCRIBE, SubscribeRequest, account.accept)
    await responder.add_endpoint(BACKFILL, BackfillRequest, account.backfill)
    await bus.flush()
    yield Feeder(bus)
    await responder.stop()


@pytest.fixture
async def validate_and_store(
    services: Services, brokers: Brokers, tmp_path: Path
) -> tuple[Process, Process]:
    """Start validate and store at the same time."""
    settings = {"path": str(tmp_path / "bars"), "redis_url": brokers.valkey_url}
    validate = services.start("validate", validate={"watermark_every_s": 0.5})
    store = services.start("store", store=settings)
    return await validate.ready(), await store.ready()


@pytest.fixture
def validate(validate_and_store: tuple[Process, Process]) -> Process:
    return validate_and_store[0]


@pytest.fixture
def store(validate_and_store: tuple[Process, Process]) -> Process:
    return validate_and_store[1]


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
        created = DataEngine(Config(bus=bus_config))
        for feed in feeds:
            created.add_feed(feed)
        return created

    return engine


@pytest.fixture
def pipeline(validate: Process, store: Process, feeder: Feeder) -> Feeder:
    return feeder
