import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from lean_lite_sim import Faults, Simulator
from lean_lite_sim.market.timestamps import MINUTE_NS
from tests.harness.simulator_clients import Record, StreamClient, call, fast, stream, subscribed

OK = {"T": "success", "msg": "authenticated"}


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(fast(symbols=2)) as simulator:
        yield simulator


async def read_until_closed(client: StreamClient) -> list[Record]:
    found: list[Record] = []
    try:
        while True:
            found += await client.receive()
    except ConnectionClosed:
        return found


async def is_silent(client: StreamClient, duration_s: float) -> bool:
    try:
        async with asyncio.timeout(duration_s):
            await client.connection.recv()
    except TimeoutError:
        return True
    return False


async def test_no_greeting_leaves_the_client_waiting() -> None:
    settings = fast(faults=Faults(no_greeting=True), auth_timeout_s=0.1)
    async with Simulator(settings) as simulator, stream(simulator) as client:
        await client.send(action="auth", key="simulator", secret="simulator")
        assert await is_silent(client, 0.5)


async def test_authentication_fails_a_number_of_times_and_then_succeeds(
    simulator: Simulator,
) -> None:
    simulator.arm({"auth_fail": 2})
    for expected in (402, 402, None):
        async with stream(simulator) as client:
            assert (await client.login()).get("code") == expected


async def test_authentication_can_be_delayed(simulator: Simulator) -> None:
    simulator.arm({"auth_delay_s": 0.3})
    async with stream(simulator) as client:
        await client.receive()
        await client.send(action="auth", key="simulator", secret="simulator")
        assert await is_silent(client, 0.1)
        assert await client.receive() == [OK]


async def test_a_broken_connection_counts_against_the_limit_for_a_while(
    simulator: Simulator,
) -> None:
    simulator.arm({"linger_s": 0.5})
    async with stream(simulator) as client:
        await client.login()
        simulator.arm({"abort": True})
        await read_until_closed(client)
    async with stream(simulator) as client:
        assert (await client.login())["code"] == 406
        reply: Record = {}
        while reply != OK:
            await asyncio.sleep(0.05)
            reply = await client.request(action="auth", key="simulator", secret="simulator")
    async with stream(simulator) as client:
        # The one before was closed cleanly, so its slot was free immediately.
        assert await client.login() == OK


@pytest.mark.parametrize("status", [429, 503])
async def test_the_handshake_can_be_refused(simulator: Simulator, status: int) -> None:
    simulator.arm({"handshake_status": status})
    with pytest.raises(InvalidStatus) as refused:
        async with stream(simulator):
            pass
    assert refused.value.response.status_code == status
    simulator.clear_faults()
    async with stream(simulator) as client:
        assert await client.login() == OK


async def test_subscriptions_can_be_refused(simulator: Simulator) -> None:
    simulator.arm({"post_auth_error": 410})
    async with stream(simulator) as client:
        assert await client.login() == OK
        assert (await client.request(action="subscribe", bars=["*"]))["code"] == 410
        assert await is_silent(client, 0.2)


@pytest.mark.parametrize("code", [1000, 1001, 1011])
async def test_open_connections_can_be_closed_with_a_code(simulator: Simulator, code: int) -> None:
    async with subscribed(simulator, bars=["SPY"]) as client:
        reply = await call(simulator, "/sim/faults", method="POST", body={"close_code": code})
        assert reply.status == 200
        await read_until_closed(client)
        assert client.connection.close_code == code
    async with subscribed(simulator, bars=["SPY"]) as client:
        assert await client.data(1)


async def test_open_connections_can_be_aborted(simulator: Simulator) -> None:
    async with subscribed(simulator, bars=["SPY"]) as client:
        simulator.arm({"abort": True})
        await read_until_closed(client)
        assert client.connection.close_code == 1006


async def test_a_half_open_connection_sends_neither_data_nor_pongs(simulator: Simulator) -> None:
    async with subscribed(simulator, bars=["SPY"]) as client:
        await client.data(3)
        simulator.arm({"half_open_s": 0.8})
        await asyncio.sleep(0.1)
        while not await is_silent(client, 0.05):
            pass
        pong = asyncio.ensure_future(await client.connection.ping())
        assert await is_silent(client, 0.3)
        assert not pong.done()
        async with stream(simulator) as other:
            assert await other.login() == OK
        await asyncio.wait_for(pong, 10)
        assert await client.data(3)


async def test_a_mute_connection_sends_pongs_but_no_data(simulator: Simulator) -> None:
    async with subscribed(simulator, bars=["SPY"]) as client:
        (*_, last) = await client.data(3)
        simulator.arm({"mute_s": 0.5})
        while not await is_silent(client, 0.1):
            pass
        await asyncio.wait_for(await client.connection.ping(), 10)
        (following,) = await client.data(1)
        assert following["t"] > last["t"] + 10 * MINUTE_NS


async def test_a_slow_client_is_closed_and_does_not_delay_the_others() -> None:
    settings = fast(symbols=500, queue_frames=20, frame_size=20, connection_limit=2)
    async with (
        Simulator(settings) as simulator,
        subscribed(simulator, bars=["*"]) as slow,
        subscribed(simulator, bars=["SPY"]) as quick,
    ):
        slow.connection.transport.pause_reading()
        while not simulator.stats["slow_clients"]:
            assert await quick.data(1)
        assert await quick.data(5)
        slow.connection.transport.resume_reading()
        messages = await read_until_closed(slow)
        assert {message["T"] for message in messages} <= {"b", "error"}


async def test_a_slow_client_that_still_reads_gets_407() -> None:
    settings = fast(symbols=20, frame_size=1, queue_frames=10)
    async with Simulator(settings) as simulator, subscribed(simulator, bars=["*"]) as client:
        messages = await read_until_closed(client)
        assert messages[-1] == {"T": "error", "code": 407, "msg": "slow client"}
        with pytest.raises(ConnectionClosedError):
            await client.receive()
        assert client.connection.close_code == 1008


async def test_the_frame_size_can_be_changed_while_running(simulator: Simulator) -> None:
    async with subscribed(simulator, bars=["*"]) as client:
        simulator.arm({"frame_size": 1})
        while len(await client.receive()) > 1:
            pass
        assert {len(await client.receive()) for _ in range(20)} == {1}


async def test_late_bars_are_completed_by_updated_bars() -> None:
    settings = fast(faults=Faults(late_fraction=1.0))
    async with (
        Simulator(settings) as simulator,
        subscribed(simulator, bars=["SPY"], updatedBars=["SPY"]) as client,
    ):
        messages = await client.data(20)
    recorded = {bar.start_ns: bar for bar in simulator.recording("SPY")}
    assert [message["T"] for message in messages] == ["b", "u"] * 10
    for first, update in zip(messages[::2], messages[1::2], strict=True):
        assert first["t"] == update["t"]
        assert first["v"] < update["v"] == recorded[first["t"]].volume


async def test_rest_and_stream_agree_about_a_late_bar() -> None:
    # At 09:30:10 only part of the bar of 09:29 is out; its update is due at 09:30:30.
    settings = fast(start="2026-11-18T14:30:10Z", faults=Faults(late_fraction=1.0))
    async with Simulator(settings) as simulator:
        params = {"symbols": "SPY", "timeframe": "1Min", "start": "2026-11-18T14:28:00Z"}
        rows = (await call(simulator, "/v2/stocks/bars", params)).body["bars"]["SPY"]
        recorded = {bar.start_ns: bar.volume for bar in simulator.recording("SPY")}
        start_ns = simulator.clock.start_ns // MINUTE_NS * MINUTE_NS
        assert rows[0]["v"] == recorded[start_ns - 2 * MINUTE_NS]
        assert rows[1]["v"] == recorded[start_ns - MINUTE_NS] // 2


async def test_duplicates_and_delayed_bars_are_sent() -> None:
    faults = Faults(duplicate_fraction=1.0, out_of_order_fraction=0.3, seed=3)
    async with (
        Simulator(fast(faults=faults)) as simulator,
        subscribed(simulator, bars=["SPY"]) as client,
    ):
        starts = [message["t"] for message in await client.data(80)]
    assert starts != sorted(starts)
    assert set(Counter(starts).values()) == {2}


async def test_unknown_types_and_keys_are_sent() -> None:
    faults = Faults(unknown_types=True, unknown_keys=True)
    async with (
        Simulator(fast(faults=faults)) as simulator,
        subscribed(simulator, bars=["SPY"]) as client,
    ):
        bar, unknown = await client.receive()
    assert (bar["T"], bar["unknown"], unknown["T"]) == ("b", "key", "zz")


async def test_stopping_does_not_wait_for_dead_clients() -> None:
    simulator = Simulator(fast())
    await simulator.start()
    async with subscribed(simulator, bars=["SPY"]) as client:
        simulator.arm({"half_open_s": 3600})
        async with asyncio.timeout(5):
            await simulator.stop()
        await read_until_closed(client)
