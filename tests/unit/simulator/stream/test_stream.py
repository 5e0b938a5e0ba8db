import json
from collections.abc import AsyncIterator

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from lean_lite_sim import Simulator
from lean_lite_sim.market.timestamps import MINUTE_NS, SECOND_NS
from tests.harness.simulator_clients import KEYS, MSGPACK, Record, fast, stream, subscribed

OK = {"T": "success", "msg": "authenticated"}


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(fast(symbols=2)) as simulator:
        yield simulator


def error(code: int, text: str) -> dict[str, object]:
    return {"T": "error", "code": code, "msg": text}


async def test_a_client_is_greeted_authenticated_and_sent_its_subscriptions(
    simulator: Simulator,
) -> None:
    async with stream(simulator) as client:
        assert await client.login() == OK
        state = await client.request(action="subscribe", bars=["SPY"], trades=["AAPL"])
        assert (state["bars"], state["corrections"]) == (["SPY"], ["AAPL"])
        state = await client.request(action="unsubscribe", bars=["SPY"])
        assert state["bars"] == []


@pytest.mark.parametrize(
    "authorization", [KEYS, {"Authorization": "Basic c2ltdWxhdG9yOnNpbXVsYXRvcg=="}]
)
async def test_keys_may_be_in_the_handshake(
    simulator: Simulator,
    authorization: dict[str, str],
) -> None:
    async with stream(simulator, headers={**MSGPACK, **authorization}) as client:
        assert await client.receive() == [{"T": "success", "msg": "connected"}]
        assert await client.receive() == [OK]
        again = await client.request(action="auth", key="simulator", secret="simulator")
        assert again == error(403, "already authenticated")


async def test_invalid_and_early_requests_are_refused(
    simulator: Simulator,
) -> None:
    async with stream(simulator) as client:
        await client.receive()
        assert await client.request(action="subscribe", bars=["*"]) == error(
            401, "not authenticated"
        )
        for wrong in (b"\xc1", "{", msgspec.msgpack.encode([1]), '{"action": "dance"}', "{}"):
            await client.connection.send(wrong)
            assert await client.receive() == [error(400, "invalid syntax")]
        assert await client.request(action="auth", key="simulator", secret="x") == error(
            402, "auth failed"
        )
        assert await client.request(action="auth", key=[1], secret="x") == error(402, "auth failed")
        assert await client.request(action="auth", key="simulator", secret="simulator") == OK


async def test_a_feed_beyond_the_plan_is_409() -> None:
    async with Simulator(fast(feeds=frozenset({"iex"}))) as simulator:
        async with stream(simulator, "/v2/sip") as client:
            assert await client.login() == error(409, "insufficient subscription")
        async with stream(simulator, "/v2/iex") as client:
            assert await client.login() == OK


async def test_a_second_connection_is_406_until_the_first_has_ended(simulator: Simulator) -> None:
    async with stream(simulator) as second:
        async with stream(simulator) as first:
            assert await first.login() == OK
            assert await second.login() == error(406, "connection limit exceeded")
            async with stream(simulator, "/v2/sip") as elsewhere:
                assert await elsewhere.login() == OK
        reply: Record = {}
        while reply != OK:
            reply = await second.request(action="auth", key="simulator", secret="simulator")
    connections = simulator.stats["connections"]
    assert isinstance(connections, dict)
    assert (connections["/v2/iex"]["total"], connections["/v2/iex"]["most"]) == (2, 2)


async def test_a_client_that_does_not_authenticate_in_time_gets_404_and_is_closed() -> None:
    async with Simulator(fast(auth_timeout_s=0.1)) as simulator, stream(simulator) as client:
        await client.receive()
        assert await client.receive() == [error(404, "auth timeout")]
        with pytest.raises(ConnectionClosed):
            await client.receive()


async def test_the_symbol_limit_is_405_and_changes_no_subscription() -> None:
    async with Simulator(fast(symbol_limit=1)) as simulator, stream(simulator) as client:
        await client.login()
        await client.request(action="subscribe", bars=["SPY"])
        limited = await client.request(action="subscribe", bars=["AAPL"])
        assert limited == error(405, "symbol limit exceeded")
        assert (await client.request(action="subscribe"))["bars"] == ["SPY"]


async def test_a_channel_of_another_feed_is_410(simulator: Simulator) -> None:
    async with stream(simulator, "/v1beta3/crypto/us") as client:
        await client.login()
        reply = await client.request(action="subscribe", lulds=["*"])
        assert reply == error(410, "invalid subscribe action for this feed")


@pytest.mark.parametrize("path", ["/", "/v2/otc", "/v2/iex/", "/v1beta3/crypto/eu"])
async def test_an_unknown_path_is_404_at_the_handshake(simulator: Simulator, path: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(simulator.stream_url + path, proxy=None)
    assert refused.value.response.status_code == 404


async def test_every_minute_is_one_frame_of_all_its_bars(simulator: Simulator) -> None:
    async with subscribed(simulator, bars=["*"]) as client:
        frames = [await client.receive() for _ in range(30)]
    for frame in frames:
        assert len({message["t"] for message in frame}) == 1
    sent = [message for frame in frames for message in frame]
    first_ns = simulator.clock.start_ns - MINUTE_NS
    last_ns = sent[-1]["t"]
    for symbol in ("AAPL", "SPY", "SYN0000", "SYN0001"):
        expected = [b for b in simulator.recording(symbol) if first_ns <= b.start_ns <= last_ns]
        received = [message for message in sent if message["S"] == symbol]
        assert [message["t"] for message in received] == [bar.start_ns for bar in expected]
        for message, bar in zip(received, expected, strict=True):
            assert {name: message[name] for name in bar.fields()} == bar.fields()


async def test_a_bar_is_sent_after_its_end_on_the_feed_clock() -> None:
    async with (
        Simulator(fast(speed=600.0)) as simulator,
        subscribed(simulator, bars=["SPY"]) as client,
    ):
        for _ in range(5):
            (message,) = await client.receive()
            due_ns = message["t"] + MINUTE_NS + SECOND_NS // 20
            assert simulator.clock.now_ns() >= due_ns


async def test_the_clock_is_held_until_the_first_subscription(simulator: Simulator) -> None:
    async with stream(simulator) as client:
        await client.login()
        await client.request(action="subscribe")
        assert simulator.clock.held
        await client.request(action="subscribe", bars=["SPY"])
        assert not simulator.clock.reading()["held"]
        (first,) = await client.data(1)
        assert first["t"] == simulator.clock.start_ns - MINUTE_NS


async def test_frames_have_at_most_the_frame_size() -> None:
    async with (
        Simulator(fast(symbols=5, frame_size=3)) as simulator,
        subscribed(simulator, bars=["*"]) as client,
    ):
        sizes = [len(await client.receive()) for _ in range(30)]
    assert max(sizes) == 3


async def test_daily_bars_grow_with_the_session(simulator: Simulator) -> None:
    async with subscribed(simulator, dailyBars=["SPY"], bars=["SPY"]) as client:
        messages = await client.data(21)
    bars = [m for m in messages if m["T"] == "b"]
    days = [m for m in messages if m["T"] == "d"]
    assert len({day["t"] for day in days}) == 1
    # The first bar is from before the open.
    assert [day["v"] for day in days] == [
        sum(bar["v"] for bar in bars[1 : n + 2]) for n in range(len(days))
    ]


async def test_json_is_text_with_rfc3339_times_and_t_first(simulator: Simulator) -> None:
    async with stream(simulator, headers={}) as client:
        assert json.loads(await client.connection.recv())[0]["msg"] == "connected"
        await client.connection.send(
            json.dumps({"action": "auth", "key": "simulator", "secret": "simulator"})
        )
        assert json.loads(await client.connection.recv()) == [OK]
        await client.connection.send(json.dumps({"action": "subscribe", "bars": ["SPY"]}))
        assert json.loads(await client.connection.recv())[0]["bars"] == ["SPY"]
        (bar,) = json.loads(await client.connection.recv())
    assert list(bar) == ["T", "S", "o", "h", "l", "c", "v", "t", "n", "vw"]
    assert bar["t"] == "2026-11-18T14:29:00Z"
    assert (bar["n"], bar["vw"]) == (None, None)


async def test_crypto_and_test_streams_have_their_own_symbols(simulator: Simulator) -> None:
    async with (
        subscribed(simulator, "/v1beta3/crypto/us-1", bars=["*"]) as crypto,
        subscribed(simulator, "/v2/test", bars=["FAKEPACA"]) as test,
    ):
        coins = await crypto.data(3)
        fakes = await test.data(3)
    assert {bar["S"] for bar in coins} == {"BTC/USD"}
    assert all(isinstance(bar["v"], float) for bar in coins)
    assert [bar["t"] - fakes[0]["t"] for bar in fakes] == [0, MINUTE_NS, 2 * MINUTE_NS]


async def test_delayed_sip_is_fifteen_minutes_behind(simulator: Simulator) -> None:
    async with subscribed(simulator, "/v2/delayed_sip", bars=["SPY"]) as client:
        (first, *_) = await client.data(1)
    assert first["t"] < simulator.clock.start_ns - 14 * MINUTE_NS


async def test_after_the_recording_the_clock_runs_without_data() -> None:
    async with (
        Simulator(fast(start="2026-11-22T00:00:00Z")) as simulator,
        subscribed(simulator, bars=["*"]) as client,
    ):
        start_ns = simulator.clock.start_ns
        await simulator.clock.sleep_until(start_ns + 60 * MINUTE_NS)
        assert (await client.request(action="subscribe"))["bars"] == ["*"]
        assert simulator.stats["bars_sent"] == {}


async def test_a_large_fragmented_request_is_accepted(simulator: Simulator) -> None:
    symbols = [f"A{n}" for n in range(20_000)]
    async with stream(simulator) as client:
        await client.login()
        request = msgspec.msgpack.encode({"bars": symbols, "action": "subscribe"})
        parts = [request[n : n + 32_768] for n in range(0, len(request), 32_768)]
        await client.connection.send(parts)
        (state,) = await client.receive()
    assert state["bars"] == symbols
