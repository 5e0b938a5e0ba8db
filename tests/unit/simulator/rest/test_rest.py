from collections.abc import AsyncIterator

import pytest

from lean_lite_sim import Simulator
from lean_lite_sim.market.timestamps import format_instant
from tests.harness.simulator_clients import KEYS, call, fast

STOCKS = "/v2/stocks/bars"
CRYPTO = "/v1beta3/crypto/us/bars"
MINUTES = {"timeframe": "1Min", "start": "2026-11-18T14:25:00Z"}


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(fast(symbols=2)) as simulator:
        yield simulator


async def test_bars_are_grouped_by_symbol_up_to_the_last_ended_minute(simulator: Simulator) -> None:
    reply = await call(simulator, STOCKS, {"symbols": "SPY,AAPL,MSFT", **MINUTES})
    assert reply.status == 200
    assert list(reply.body) == ["bars", "next_page_token"]
    assert list(reply.body["bars"]) == ["AAPL", "SPY"]
    assert reply.body["bars"]["SPY"][-1]["t"] == "2026-11-18T14:29:00Z"
    assert reply.body["next_page_token"] is None


async def test_every_value_is_the_recorded_one(simulator: Simulator) -> None:
    expected = simulator.recording("SPY")
    last_ns = simulator.clock.now_ns()
    params = {"symbols": "SPY", "timeframe": "1Min", "start": "2026-11-01", "limit": 10_000}
    rows = (await call(simulator, STOCKS, params)).body["bars"]["SPY"]
    assert rows == [
        {"t": format_instant(bar.start_ns), **bar.fields()}
        for bar in expected
        if bar.end_ns <= last_ns
    ]
    assert all(isinstance(row["v"], int) and row["n"] is row["vw"] is None for row in rows)


async def test_the_limit_counts_over_all_symbols(simulator: Simulator) -> None:
    params = {"symbols": "SPY,AAPL", **MINUTES, "limit": 3}
    reply = await call(simulator, STOCKS, params)
    assert sum(map(len, reply.body["bars"].values())) == 3
    token = reply.body["next_page_token"]
    following = await call(simulator, STOCKS, {**params, "page_token": token})
    assert following.body["bars"] != reply.body["bars"]


async def test_an_unknown_symbol_has_no_bars(simulator: Simulator) -> None:
    for path in (STOCKS, "/v2/stocks/bars/latest"):
        reply = await call(simulator, path, {"symbols": "MSFT", "timeframe": "1Min"})
        assert (reply.status, reply.body["bars"]) == (200, {})


async def test_one_symbol_may_be_in_the_path(simulator: Simulator) -> None:
    reply = await call(simulator, "/v2/stocks/SPY/bars", {**MINUTES, "currency": "USD"})
    assert list(reply.body) == ["symbol", "bars", "next_page_token", "currency"]
    assert (reply.body["symbol"], reply.body["currency"]) == ("SPY", "USD")
    many = await call(simulator, STOCKS, {**MINUTES, "symbols": "SPY"})
    assert reply.body["bars"] == many.body["bars"]["SPY"]


async def test_latest_bars_are_the_last_ones_that_have_ended(simulator: Simulator) -> None:
    params = {"symbols": "SPY,SYN0001"}
    bars = (await call(simulator, "/v2/stocks/bars/latest", params)).body["bars"]
    assert bars["SPY"]["t"] == "2026-11-18T14:29:00Z"
    assert bars["SYN0001"]["t"] == "2026-11-17T20:59:00Z"
    coin = await call(simulator, "/v1beta3/crypto/us/latest/bars", {"symbols": "BTC/USD"}, {})
    assert coin.body["bars"]["BTC/USD"]["t"] == "2026-11-18T14:29:00Z"


async def test_crypto_needs_no_keys_and_refuses_wrong_ones(simulator: Simulator) -> None:
    params = {"symbols": "BTC/USD", **MINUTES}
    reply = await call(simulator, CRYPTO, params, {})
    assert isinstance(reply.body["bars"]["BTC/USD"][0]["v"], float)
    wrong = {**KEYS, "APCA-API-SECRET-KEY": "wrong"}
    assert (await call(simulator, CRYPTO, params, wrong)).status == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({**KEYS, "APCA-API-SECRET-KEY": "wrong"}, 403),
        ({"Authorization": "Basic !"}, 403),
        ({"Authorization": "Basic c2ltdWxhdG9yOnNpbXVsYXRvcg=="}, 200),
    ],
)
async def test_stocks_need_keys(simulator: Simulator, headers: dict[str, str], status: int) -> None:
    reply = await call(simulator, STOCKS, {"symbols": "SPY", **MINUTES}, headers)
    assert reply.status == status
    assert ("message" in reply.body) == (status != 200)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"symbols": ""}, "symbols is required"),
        ({"symbols": "spy"}, "invalid symbol: spy"),
        ({"symbols": "SPY,,AAPL"}, "invalid symbol: "),
        ({"symbols": "BTC/USD"}, "invalid symbol: BTC/USD"),
        ({"timeframe": ""}, "timeframe is required"),
        ({"timeframe": "1Year"}, "invalid timeframe: 1Year"),
        ({"start": "yesterday"}, "invalid start: yesterday"),
        ({"end": "2020-01-01"}, "end should not be before start"),
        ({"limit": "0"}, "invalid limit: 0 is not between 1 and 10000"),
        ({"limit": "10001"}, "invalid limit: 10001 is not between 1 and 10000"),
        ({"limit": "x"}, "invalid limit: x is not between 1 and 10000"),
        ({"sort": "up"}, "invalid sort: up"),
        ({"feed": "nyse"}, "invalid feed: nyse"),
        ({"adjustment": "none"}, "invalid adjustment: none"),
        ({"asof": "today"}, "invalid asof: today"),
        ({"currency": "dollars"}, "invalid currency: dollars"),
        ({"page_token": "QQ=="}, "invalid page_token"),
    ],
)
async def test_an_error_names_the_invalid_parameter(
    simulator: Simulator,
    changes: dict[str, str],
    message: str,
) -> None:
    reply = await call(simulator, STOCKS, {"symbols": "SPY", **MINUTES, **changes})
    assert (reply.status, reply.body) == (400, {"message": message})


async def test_an_unknown_path_is_404(simulator: Simulator) -> None:
    assert (await call(simulator, "/v2/bonds/bars")).status == 404


async def test_recent_sip_is_refused_when_the_plan_lacks_it() -> None:
    async with Simulator(fast(recent_sip=False)) as simulator:
        params = {"symbols": "SPY", **MINUTES, "start": "2026-11-18T13:00:00Z"}
        refused = await call(simulator, STOCKS, {**params, "feed": "sip"})
        assert refused.status == 403
        assert refused.body["message"] == "subscription does not permit querying recent SIP data"
        old = {**params, "feed": "sip", "end": "2026-11-18T14:15:00Z"}
        assert (await call(simulator, STOCKS, old)).status == 200
        assert (await call(simulator, STOCKS, {**params, "feed": "iex"})).status == 200
        latest = {"symbols": "SPY", "feed": "sip"}
        assert (await call(simulator, "/v2/stocks/bars/latest", latest)).status == 403


async def test_the_rate_limit_is_in_headers_and_enforced() -> None:
    async with Simulator(fast(rate_limit_per_minute=3)) as simulator:
        params = {"symbols": "SPY", **MINUTES}
        replies = [await call(simulator, STOCKS, params) for _ in range(8)]
        # A new minute may start in between, but not twice.
        assert replies[0].headers["x-ratelimit-limit"] == "3"
        assert replies[0].headers["x-ratelimit-remaining"] == "2"
        assert int(replies[0].headers["x-ratelimit-reset"]) % 60 == 0
        refused = [reply for reply in replies if reply.status == 429]
        assert refused
        assert refused[0].headers["x-ratelimit-remaining"] == "0"
        assert refused[0].body == {"message": "too many requests."}
        other = await call(simulator, CRYPTO, {"symbols": "BTC/USD", **MINUTES}, {})
        assert other.status == 200


async def test_control_paths_show_clock_counters_and_recording(simulator: Simulator) -> None:
    await call(simulator, STOCKS, {"symbols": "SPY", **MINUTES})
    clock = (await call(simulator, "/sim/clock", headers={})).body
    assert clock["held"]
    assert clock["feed_ns"] == simulator.clock.start_ns
    stats = (await call(simulator, "/sim/stats", headers={})).body
    assert stats["rest_requests"] == 1
    assert stats["connections"]["/v2/iex"] == {"open": 0, "total": 0, "most": 0}
    assert stats == simulator.stats
    symbols = (await call(simulator, "/sim/symbols", headers={})).body["symbols"]
    assert {"SPY", "AAPL", "BTC/USD", "SYN0001", "FAKEPACA"} <= set(symbols)
    for symbol in ("SPY", "BTC/USD", "SYN0001"):
        rows = (await call(simulator, "/sim/recording", {"symbol": symbol}, {})).body["bars"]
        assert [(row["start_ns"], row["c"]) for row in rows] == [
            (bar.start_ns, bar.close) for bar in simulator.recording(symbol)
        ]
    assert (await call(simulator, "/sim/recording", {"symbol": "NO"}, {})).status == 404


async def test_faults_are_armed_shown_and_cleared_over_http(simulator: Simulator) -> None:
    path = "/sim/faults"
    armed = await call(simulator, path, method="POST", body={"frame_size": 2})
    assert armed.body["frame_size"] == 2
    more = await call(simulator, path, method="POST", body={"late_fraction": 0.5})
    assert (more.body["frame_size"], more.body["late_fraction"]) == (2, 0.5)
    assert (await call(simulator, path)).body == more.body
    wrong = await call(simulator, path, method="POST", body={"frame_sise": 2})
    assert wrong.status == 400
    assert "did you mean 'frame_size'" in wrong.body["message"]
    assert (await call(simulator, path, method="POST", body=[1])).status == 400
    assert (await call(simulator, path, method="DELETE")).body["frame_size"] == 0


async def test_a_rest_fault_replies_with_its_status(simulator: Simulator) -> None:
    simulator.arm({"rest_status": 503})
    assert (await call(simulator, STOCKS, {"symbols": "SPY", **MINUTES})).status == 503
    simulator.clear_faults()
    assert (await call(simulator, STOCKS, {"symbols": "SPY", **MINUTES})).status == 200
