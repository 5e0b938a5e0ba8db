"""What Alpaca refuses is told to whoever asked, with what to do about it."""

import asyncio
import json

import pytest
from websockets.asyncio.client import connect

from lean_lite.bus import Bus, ask
from lean_lite.errors import RequestError
from lean_lite.messages import BackfillReply, BackfillRequest
from lean_lite.subjects import BACKFILL
from lean_lite_sim import Simulator
from tests.integration.conftest import Join
from tests.integration.ingest.conftest import SimulatorMaker
from tests.integration.ingest.market import Market, alpaca
from tests.integration.patience import until
from tests.integration.services import Services

DAY_NS = 86_400_000_000_000


async def backfilled(client: Bus, request: BackfillRequest) -> BackfillReply:
    async with asyncio.timeout(60):
        while not (reply := await ask(client, BACKFILL, request, BackfillReply)).over:
            pass
        return reply


def today(simulator: Simulator, symbol: str) -> BackfillRequest:
    start_ns = simulator.clock.start_ns
    return BackfillRequest(symbol, start_ns - DAY_NS, start_ns + DAY_NS)


async def test_wrong_keys_refuse_a_subscription_and_say_which(
    simulator: SimulatorMaker, services: Services, market: Market
) -> None:
    sim = await simulator()
    services.start("ingest", alpaca=alpaca(sim, secret_key="wrong"))
    reply = await market.subscribe("SPY")
    assert reply.accepted == ()
    assert "auth failed (402)" in reply.refused["SPY"]
    assert "APCA_API_KEY_ID" in reply.refused["SPY"]


async def test_a_feed_beyond_the_plan_is_refused_with_the_feed_to_take(
    simulator: SimulatorMaker, services: Services, market: Market
) -> None:
    sim = await simulator(feeds=frozenset({"iex", "us"}))
    services.start("ingest", alpaca=alpaca(sim, feed="sip"))
    reply = await market.subscribe("SPY")
    assert "(409)" in reply.refused["SPY"]
    assert "set alpaca.feed to iex" in reply.refused["SPY"]


async def test_a_connection_in_use_is_told_and_taken_when_it_is_free(
    simulator: SimulatorMaker, services: Services, market: Market
) -> None:
    sim = await simulator()
    async with connect(f"{sim.stream_url}/v2/iex") as other:
        await other.recv()
        keys = {"action": "auth", "key": "simulator", "secret": "simulator"}
        await other.send(json.dumps(keys))
        assert "authenticated" in str(await other.recv())
        ingest = services.start("ingest", alpaca=alpaca(sim))
        await market.subscribe("SPY")
        await until(lambda: "(406)" in ingest.failing(), "the refusal")
        assert "another program uses the account's only connection" in ingest.failing()
    await ingest.ready()
    await market.reach("SPY", 3)


async def test_recent_history_beyond_the_plan_names_the_way_out(
    simulator: SimulatorMaker, services: Services, join: Join
) -> None:
    sim = await simulator(recent_sip=False, hold=False, speed=10.0)
    ingest = services.start("ingest", alpaca=alpaca(sim, feed="sip"))
    await ingest.ready()
    reply = await backfilled(await join("store"), today(sim, "SPY"))
    assert "last 15 minutes" in reply.failed
    assert "set alpaca.feed to iex" in reply.failed


async def test_keys_that_rest_refuses_are_named(
    simulator: SimulatorMaker, services: Services, join: Join
) -> None:
    sim = await simulator(hold=False)
    ingest = services.start("ingest", alpaca=alpaca(sim, secret_key="wrong"))
    await ingest.ready()
    reply = await backfilled(await join("store"), today(sim, "SPY"))
    assert "APCA_API_SECRET_KEY belong together" in reply.failed


async def test_history_of_what_is_no_symbol_or_no_feed_of_ours_is_refused(
    simulator: SimulatorMaker, services: Services, join: Join
) -> None:
    sim = await simulator(hold=False)
    ingest = services.start("ingest", alpaca=alpaca(sim))
    await ingest.ready()
    client = await join("store")
    with pytest.raises(RequestError, match="equities look like AAPL"):
        await backfilled(client, BackfillRequest("spy", 0, DAY_NS))
    with pytest.raises(RequestError, match="not served by this account"):
        await backfilled(client, BackfillRequest("SPY", 0, DAY_NS, feed="sip"))
    with pytest.raises(RequestError, match="minutes and days"):
        await backfilled(client, BackfillRequest("SPY", 0, DAY_NS, 3_600))
