"""A refusal of Alpaca is passed on to the client, with what to do about it."""

import asyncio
import json
import re

import pytest
from websockets.asyncio.client import connect

from lean_lite.bus import Bus, request_reply
from lean_lite.errors import RequestError
from lean_lite.protocol.control import BackfillReply, BackfillRequest
from lean_lite.protocol.subjects import BACKFILL
from lean_lite_sim import Faults, Simulator
from tests.harness.error_table import shows
from tests.harness.services import Services
from tests.harness.simulated_market import Market, alpaca
from tests.harness.waiting import until
from tests.integration.conftest import Join
from tests.integration.ingest.conftest import SimulatorMaker

DAY_NS = 86_400_000_000_000


async def backfilled(client: Bus, request: BackfillRequest) -> BackfillReply:
    async with asyncio.timeout(60):
        while not (reply := await request_reply(client, BACKFILL, request, BackfillReply)).over:
            pass
        return reply


def today(simulator: Simulator, symbol: str) -> BackfillRequest:
    start_ns = simulator.clock.start_ns
    return BackfillRequest(symbol, start_ns - DAY_NS, start_ns + DAY_NS)


async def test_a_subscription_with_wrong_keys_is_refused_with_the_reason(
    simulator: SimulatorMaker, services: Services, market: Market
) -> None:
    sim = await simulator()
    services.start("ingest", alpaca=alpaca(sim, secret_key="wrong"))
    reply = await market.subscribe("SPY")
    assert reply.accepted == ()
    shows("wrong keys, subscription", reply.refused["SPY"])


async def test_unknown_symbols_are_refused_and_known_ones_accepted(
    simulator: SimulatorMaker, services: Services, market: Market
) -> None:
    sim = await simulator(start="last")
    services.start("ingest", alpaca=alpaca(sim, simulated=False))
    reply = await market.subscribe("SPY", "BTC/USD", "SPYY", "BTC/USX")
    assert reply.accepted == ("SPY", "BTC/USD")
    assert set(reply.refused) == {"SPYY", "BTC/USX"}
    for reason in reply.refused.values():
        shows("a symbol that Alpaca does not know", reason)


async def test_only_symbols_of_the_simulator_are_accepted_even_before_their_first_bar(
    simulator: SimulatorMaker, services: Services, market: Market
) -> None:
    sim = await simulator(symbols=1)
    services.start("ingest", alpaca=alpaca(sim))
    reply = await market.subscribe("SPY", "SYN0000", "SPYY")
    assert reply.accepted == ("SPY", "SYN0000")
    shows("a symbol that the simulator does not have", reply.refused["SPYY"])
    assert {"SPY", "AAPL", "BTC/USD", "SYN0000"} <= set(
        re.findall(r"[A-Z0-9/]+", reply.refused["SPYY"])
    )
    assert "FAKEPACA" not in reply.refused["SPYY"]


async def test_symbols_are_accepted_while_they_can_not_be_checked(
    simulator: SimulatorMaker, services: Services, market: Market
) -> None:
    sim = await simulator(faults=Faults(rest_status=503))
    services.start("ingest", alpaca=alpaca(sim, simulated=False))
    reply = await market.subscribe("SPYY")
    assert (reply.accepted, reply.refused) == (("SPYY",), {})


async def test_a_feed_outside_the_plan_is_refused_with_the_feed_to_use(
    simulator: SimulatorMaker, services: Services, market: Market
) -> None:
    sim = await simulator(feeds=frozenset({"iex", "us"}))
    services.start("ingest", alpaca=alpaca(sim, feed="sip"))
    reply = await market.subscribe("SPY")
    shows("a feed beyond the plan (409)", reply.refused["SPY"])


async def test_a_connection_in_use_is_reported_and_taken_when_it_is_free(
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
        shows("another program has the connection (406)", ingest.failing())
    await ingest.ready()
    await market.reach("SPY", 3)


async def test_the_error_for_recent_history_outside_the_plan_says_what_to_do(
    simulator: SimulatorMaker, services: Services, join: Join
) -> None:
    sim = await simulator(recent_sip=False, hold=False, speed=10.0)
    ingest = services.start("ingest", alpaca=alpaca(sim, feed="sip"))
    await ingest.ready()
    reply = await backfilled(await join("store"), today(sim, "SPY"))
    shows("recent SIP history on a free plan (403, 422)", reply.failed)


async def test_the_error_for_keys_refused_by_rest_says_what_to_do(
    simulator: SimulatorMaker, services: Services, join: Join
) -> None:
    sim = await simulator(hold=False)
    ingest = services.start("ingest", alpaca=alpaca(sim, secret_key="wrong"))
    await ingest.ready()
    reply = await backfilled(await join("store"), today(sim, "SPY"))
    shows("wrong keys, history (401, 403)", reply.failed)


async def test_a_backfill_of_a_wrong_symbol_feed_or_resolution_is_refused(
    simulator: SimulatorMaker, services: Services, join: Join
) -> None:
    sim = await simulator(hold=False)
    ingest = services.start("ingest", alpaca=alpaca(sim))
    await ingest.ready()
    client = await join("store")
    with pytest.raises(RequestError, match="invalid symbol 'spy'"):
        await backfilled(client, BackfillRequest("spy", 0, DAY_NS))
    with pytest.raises(RequestError, match="not served by this account") as refused:
        await backfilled(client, BackfillRequest("SPY", 0, DAY_NS, feed="sip"))
    shows("a feed that the account does not have", str(refused.value))
    with pytest.raises(RequestError, match="minutes and days"):
        await backfilled(client, BackfillRequest("SPY", 0, DAY_NS, 3_600))
