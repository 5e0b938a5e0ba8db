"""After every failure, RAW ends up with every minute of the recording."""

import asyncio
import random
import signal
import time
from collections.abc import Callable

import pytest

from lean_lite.blocks import Origin
from lean_lite.bus import Bus
from lean_lite.protocol.partitions import lane_of
from lean_lite.protocol.subjects import EVENTS, RAW, event, raw
from tests.harness.brokers import Brokers
from tests.harness.gradings import returned
from tests.harness.services import Process, Services
from tests.harness.simulated_market import Market, alpaca, check_bits, of
from tests.harness.streams import stored
from tests.harness.waiting import until
from tests.integration.ingest.conftest import SimulatorMaker

SYMBOLS = ("SPY", "AAPL", "BTC/USD")
KILLS = 3


async def connected(*processes: Process) -> None:
    def all_connected() -> bool:
        return sum(process.counted("lean_lite_ingest_connected") for process in processes) == 2

    try:
        await until(all_connected, "both feeds to be connected")
    except AssertionError:
        pytest.fail(
            "\n".join(f"{process.failing()}\n{process.log[-3000:]}" for process in processes)
        )


async def test_a_broken_connection_leaves_no_gap(
    simulator: SimulatorMaker, services: Services, market: Market, admin: Bus
) -> None:
    sim = await simulator(speed=300.0)
    ingest = services.start("ingest", alpaca=alpaca(sim))
    await market.subscribe(*SYMBOLS)
    for _ in range(2):
        await market.reach("SPY", len({b.start_ns for b in await market.bars("SPY")}) + 5)
        await connected(ingest)
        sim.arm({"abort": True})
        await until(lambda: ingest.counted("lean_lite_ingest_connected") < 2, "the connection loss")
    await connected(ingest)
    await market.wait_until_complete(sim, SYMBOLS)
    bars = await market.bars()
    check_bits(bars, sim)
    backfilled = of(bars, Origin.BACKFILL)
    live = {(bar.symbol, bar.start_ns) for bar in of(bars, Origin.LIVE)}
    assert {(bar.symbol, bar.start_ns) for bar in backfilled} - live
    assert await stored(admin, EVENTS, event("gap"))
    await ingest.ready()


async def test_an_outage_is_backfilled_over_rest_when_it_ends(
    simulator: SimulatorMaker, services: Services, market: Market
) -> None:
    sim = await simulator(speed=300.0)
    ingest = services.start("ingest", alpaca=alpaca(sim))
    await market.subscribe(*SYMBOLS)
    await market.reach("SPY", 5)
    await connected(ingest)
    sim.arm({"handshake_status": 503, "rest_status": 503})
    sim.arm({"abort": True})
    out_since_ns = sim.clock.now_ns()
    await until(lambda: "not connected" in ingest.failing(), "the outage to be reported")
    await until(lambda: sim.clock.now_ns() > out_since_ns + 15 * 60 * 10**9, "15 minutes")
    sim.clear_faults()
    await market.wait_until_complete(sim, SYMBOLS)
    await connected(ingest)
    await market.wait_until_complete(sim, SYMBOLS)
    bars = await market.bars()
    check_bits(bars, sim)
    in_outage = [b for b in bars if b.symbol == "SPY" and b.start_ns > out_since_ns]
    assert len(of(in_outage, Origin.BACKFILL)) >= 10
    await ingest.ready()


async def test_a_killed_and_restarted_ingest_leaves_no_gap(
    simulator: SimulatorMaker, services: Services, market: Market, admin: Bus
) -> None:
    chance = random.Random(3)
    sim = await simulator(speed=300.0)
    ingest = services.start("ingest", alpaca=alpaca(sim))
    await market.subscribe(*SYMBOLS)
    for _ in range(KILLS):
        await connected(ingest)
        await asyncio.sleep(chance.uniform(0, 0.5))
        await ingest.kill()
        ingest = services.start("ingest", alpaca=alpaca(sim))
    await connected(ingest)
    await market.wait_until_complete(sim, SYMBOLS)
    check_bits(await market.bars(), sim)
    for symbol in SYMBOLS:
        feed = "us" if "/" in symbol else "iex"
        frames = await stored(admin, RAW, raw(feed, lane_of(symbol)))
        assert returned(frames) == []
        assert len({frame.epoch for frame in frames}) == KILLS + 1


async def test_a_standby_takes_over_when_the_owner_is_killed(
    simulator: SimulatorMaker,
    services: Services,
    market: Market,
    record_property: Callable[[str, object], None],
) -> None:
    sim = await simulator(speed=300.0)
    owner = await services.start("ingest", alpaca=alpaca(sim)).ready()
    standby = services.start("ingest", alpaca=alpaca(sim))
    await until(
        lambda: "another ingest owns" in standby.failing(), "the second ingest to wait as a standby"
    )
    await market.subscribe(*SYMBOLS)
    await market.reach("SPY", 5)
    await connected(owner)
    await owner.kill()
    killed_at = time.monotonic()
    await connected(standby)
    took_s = time.monotonic() - killed_at
    record_property("take_over_s", round(took_s, 2))
    print(f"ingest take-over after a kill: {took_s:.2f} s")  # noqa: T201
    await standby.ready()
    await market.wait_until_complete(sim, SYMBOLS)
    check_bits(await market.bars(), sim)
    assert sim.stats["connections"]["/v2/iex"]["most"] == 1  # type: ignore[index]


async def test_a_clean_stop_publishes_what_was_received(
    simulator: SimulatorMaker, services: Services, market: Market, brokers: Brokers
) -> None:
    sim = await simulator(symbols=20)
    symbols = tuple(f"SYN{number:04}" for number in range(20))
    settings = {"heartbeat_s": 0.2, "drain_s": 20.0}
    ingest = services.start("ingest", alpaca=alpaca(sim), service=settings)
    await market.subscribe(*symbols)
    await market.reach(symbols[0], 5)
    await until(lambda: ingest.counted("lean_lite_ingest_connected") == 1, "the connection")
    # Bars received while the server is frozen have to wait.
    brokers.nats.send_signal(signal.SIGSTOP)
    try:
        before = await ingest.count_now("lean_lite_ingest_received_total")
        received = before
        while received < before + 100:
            await asyncio.sleep(0.02)
            received = await ingest.count_now("lean_lite_ingest_received_total")
        ingest.send(signal.SIGTERM)
    finally:
        brokers.nats.send_signal(signal.SIGCONT)
    assert await ingest.ended() == 0
    live = of(await market.bars(), Origin.LIVE)
    assert len(live) >= received
    check_bits(live, sim)
