"""Ingest accepts or refuses symbols with a reason, and publishes the accepted ones to RAW."""

import asyncio

import msgspec

from lean_lite.blocks import Origin
from lean_lite.bus import Bus
from lean_lite.bus.key_value import read_keys
from lean_lite.protocol.control import Interest
from lean_lite.protocol.subjects import INTEREST
from lean_lite_sim.faults import Faults
from tests.harness.error_table import shows
from tests.harness.services import Services
from tests.harness.simulated_market import Market, alpaca, check_bits, of
from tests.harness.streams import recreate
from tests.harness.waiting import until
from tests.integration.ingest.conftest import SimulatorMaker

SYMBOLS = ("SPY", "AAPL", "BTC/USD", "SYN0001")


async def test_bars_of_subscribed_symbols_equal_the_recording_bit_for_bit(
    simulator: SimulatorMaker, services: Services, market: Market
) -> None:
    sim = await simulator(symbols=3)
    ingest = services.start("ingest", alpaca=alpaca(sim))
    reply = await market.subscribe(*SYMBOLS)
    assert (reply.accepted, reply.refused) == (SYMBOLS, {})
    assert reply.feeds == {"SPY": "iex", "AAPL": "iex", "BTC/USD": "us", "SYN0001": "iex"}
    for symbol in SYMBOLS:
        bars = of(await market.reach(symbol, 30), Origin.LIVE)
        starts = [bar.start_ns for bar in bars]
        assert starts == sorted(set(starts))
    await market.wait_until_complete(sim, SYMBOLS)
    bars = await market.bars()
    check_bits(bars, sim)
    # Recorded symbols have neither count nor VWAP, generated ones have both.
    assert {bar.trade_count for bar in bars if bar.symbol != "SYN0001"} == {-1}
    assert min(bar.trade_count for bar in bars if bar.symbol == "SYN0001") > 0
    live = of(bars, Origin.LIVE)
    assert all(bar.received_ns >= bar.start_ns + 60_000_000_000 for bar in live)
    assert {bar.symbol for bar in bars} == set(SYMBOLS)
    await ingest.ready()


async def test_malformed_symbols_are_refused_and_valid_ones_accepted(
    simulator: SimulatorMaker, services: Services, market: Market, admin: Bus
) -> None:
    sim = await simulator()
    services.start("ingest", alpaca=alpaca(sim))
    malformed = ("", "*", "spy", "A B", "BTC/", "TOO_LONG_A_NAME", "X" * 12)
    reply = await market.subscribe("SPY", *malformed)
    assert reply.accepted == ("SPY",)
    assert reply.feeds == {"SPY": "iex"}
    assert set(reply.refused) == set(malformed)
    assert reply.refused["spy"].startswith("invalid symbol 'spy'")
    shows("not the form of a symbol", reply.refused["spy"])
    assert "name the symbols" in reply.refused["*"]
    await market.reach("SPY", 5)
    assert await read_keys(admin, INTEREST, "iex") == ["iex.SPY"]


async def test_a_symbol_above_alpacas_limit_is_refused_and_the_others_continue(
    simulator: SimulatorMaker, services: Services, market: Market
) -> None:
    sim = await simulator(symbols=3, symbol_limit=2, symbol_limit_channels=frozenset({"bars"}))
    ingest = services.start("ingest", alpaca=alpaca(sim))
    assert (await market.subscribe("SPY", "SYN0000")).refused == {}
    await until(lambda: ingest.counted("lean_lite_ingest_connected") >= 1, "the connection")
    reply = await market.subscribe("SPY", "SYN0001")
    assert reply.accepted == ("SPY",)
    assert set(reply.refused) == {"SYN0001"}
    shows("too many symbols for the plan (405)", reply.refused["SYN0001"])
    count = len({bar.start_ns for bar in await market.bars("SPY")})
    await market.reach("SPY", count + 10)
    assert not await market.bars("SYN0001")
    await ingest.ready()


async def test_corrections_are_separate_rows(
    simulator: SimulatorMaker, services: Services, market: Market
) -> None:
    sim = await simulator(faults=Faults(late_fraction=0.5))
    services.start("ingest", alpaca=alpaca(sim))
    await market.subscribe("SPY", "BTC/USD")

    async def corrected() -> bool:
        return len(of(await market.bars("SPY"), Origin.UPDATED)) >= 10

    await until(corrected, "corrections")
    bars = await market.bars()
    updated = of(bars, Origin.UPDATED)
    check_bits(updated, sim)
    first = {(bar.symbol, bar.start_ns): bar for bar in of(bars, Origin.LIVE)}
    pairs = [(first[key], bar) for bar in updated if (key := (bar.symbol, bar.start_ns)) in first]
    assert len(pairs) >= 10
    assert all(before.values[:4] == after.values[:4] for before, after in pairs)
    assert all(before.values[4] < after.values[4] for before, after in pairs)


async def test_a_symbol_subscribed_during_startup_is_stored(
    simulator: SimulatorMaker, services: Services, market: Market, admin: Bus
) -> None:
    sim = await simulator()
    for _ in range(3):
        await recreate(admin)
        ingest = services.start("ingest", alpaca=alpaca(sim))
        await market.subscribe("SPY", "BTC/USD")
        bucket = await admin.jetstream.key_value(INTEREST)
        assert await read_keys(admin, INTEREST, "iex") == ["iex.SPY"]
        assert await read_keys(admin, INTEREST, "us") == ["us.BTC/USD"]
        for key in ("iex.SPY", "us.BTC/USD"):
            entry = await bucket.get(key)
            interest = msgspec.msgpack.decode(entry.value or b"", type=Interest)
            assert interest.since_ns >= sim.clock.start_ns
        await ingest.kill()


async def test_ingest_with_wrong_keys_is_not_ready_and_reports_them(
    simulator: SimulatorMaker, services: Services, market: Market
) -> None:
    sim = await simulator()
    ingest = services.start("ingest", alpaca=alpaca(sim, secret_key="wrong"))
    await market.subscribe("SPY")
    await until(lambda: "402" in ingest.failing(), "the refusal")
    shows("wrong keys, while it runs (402)", ingest.failing())
    assert "wrong" not in ingest.log
    assert ingest.running
    await asyncio.sleep(0)
    assert not await market.bars()


async def test_the_error_for_missing_keys_names_both_solutions(
    simulator: SimulatorMaker, services: Services
) -> None:
    sim = await simulator()
    ingest = services.start("ingest", alpaca=alpaca(sim, key_id="", secret_key=""))
    assert await ingest.ended() == 3
    assert "APCA_API_KEY_ID" in ingest.log
    assert "simulator" in ingest.log
