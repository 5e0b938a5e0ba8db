"""The parts of alpaca-py that ingest overrides are unchanged and work over real sockets."""

import asyncio
import hashlib
import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import Any

import pytest
from alpaca.data.live import CryptoDataStream, StockDataStream
from alpaca.data.live.websocket import DataStream

from lean_lite_ingest.alpaca import stream
from lean_lite_ingest.alpaca.stream import CHANNELS, CryptoStream, StockStream
from lean_lite_ingest.alpaca.wire import Message
from lean_lite_sim import Faults, Simulator
from tests.harness.simulator_clients import fast
from tests.harness.waiting import until

STOP_S = 3
WAIT_S = 30
BACKOFF_S = 0.05

SIGNATURES = {
    "_start_ws": "(self) -> None",
    "_consume": "(self) -> bool",
    "_run_forever": "(self) -> None",
    "_send_subscribe_msg": "(self) -> None",
    "_send_unsubscribe_msg": "(self, channel: str, symbols: List[str]) -> None",
    "stop_ws": "(self) -> None",
    "close": "(self) -> None",
}
# The sha256 of each method's source, and what in ingest depends on it.
SOURCES = {
    "_run_forever": (
        "9362e8603781f144695874894a9ccbf284966d92e8f43fae07a73eabf10a7d2e",
        "it must end when _should_run is False, reset its backoff by _data_received and subscribe",
    ),
    "_start_ws": (
        "db3cf3ead606ac09d85b343385576a9a5108df27789692c3f2ef34d4b18d55f4",
        "_start_ws of ingest limits it by GREETING_S and classifies the ValueError that it raises",
    ),
    "_connect": (
        "61fa4e7ecfc34cffc68d4e1eac3516ef23040f50e4a6498a38d95fcaaf2bc9ee",
        "PARAMETERS go to websockets.legacy, and _ws is set before the greeting is awaited",
    ),
    "_auth": (
        "faa1ff1b98c9a32430e31ed623c66c53956f9110bbe00e4c1b81277447e3becd",
        "REFUSALS searches the text of its ValueError for the words of the server",
    ),
    "_consume": (
        "fa5975ea2aab9542b6271a2cf594beba1efb8314e2be026fc76724521cc284d8",
        "ingest replaces it: _data_received, _stop_stream_queue, close(), the errors it passes on",
    ),
}


def test_alpaca_py_has_the_version_that_ingest_was_written_for() -> None:
    assert version("alpaca-py") == "0.44.0"


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_methods_that_ingest_depends_on_are_unchanged(name: str) -> None:
    method = getattr(DataStream, name)
    assert inspect.iscoroutinefunction(method)
    assert str(inspect.signature(method)) == SIGNATURES[name]


@pytest.mark.parametrize("name", SOURCES)
def test_the_source_that_ingest_depends_on_is_unchanged(name: str) -> None:
    expected, review = SOURCES[name]
    source = inspect.getsource(getattr(DataStream, name))
    found = hashlib.sha256(source.encode()).hexdigest()
    assert found == expected, (
        f"alpaca-py has another DataStream.{name}: review lean_lite_ingest/alpaca/stream.py, "
        f"because {review}; then record {found}"
    )


@pytest.mark.parametrize("kind", [StockDataStream, CryptoDataStream])
def test_the_stream_classes_of_alpaca_py_override_none_of_it(kind: type[DataStream]) -> None:
    for name in {*SIGNATURES, *SOURCES}:
        assert getattr(kind, name) is getattr(DataStream, name)


async def test_the_attributes_that_ingest_depends_on_exist() -> None:
    client: Any = StockDataStream("key", "secret", raw_data=True)
    assert set(CHANNELS) <= client._handlers.keys()
    assert all(client._handlers[channel] == {} for channel in CHANNELS)
    assert client._should_run is True
    assert client._stop_stream_event is None
    assert client._stop_stream_queue.empty()
    assert client._running is False
    assert client._data_received is False
    assert client._ws is None


class Callbacks:
    """Record of all callbacks of a stream."""

    def __init__(self) -> None:
        self.batches: list[list[Message]] = []
        self.controls: list[Message] = []
        self.disconnects = 0

    def on_batch(self, messages: list[Message], wall_ns: int) -> None:
        assert wall_ns > 0
        self.batches.append(messages)

    def on_control(self, message: Message) -> None:
        self.controls.append(message)

    def on_disconnected(self) -> None:
        self.disconnects += 1

    def subscriptions(self, channel: str = "bars") -> list[list[str]]:
        return [m[channel] for m in self.controls if m["T"] == "subscription"]


def stocks(simulator: Simulator, callbacks: Callbacks, secret: str = "simulator") -> StockStream:
    frames = StockStream("simulator", secret, "iex", simulator.stream_url, callbacks)
    frames._reconnect_min_backoff = BACKOFF_S
    return frames


@asynccontextmanager
async def running(frames: StockStream | CryptoStream) -> AsyncIterator[asyncio.Task[None]]:
    """Run a stream, and check that it stops quickly."""
    task = asyncio.create_task(frames.run_connected())
    try:
        yield task
    finally:
        task.cancel()
        async with asyncio.timeout(STOP_S):
            with suppress(asyncio.CancelledError):
                await task


def connections(simulator: Simulator, path: str = "/v2/iex") -> dict[str, int]:
    stats: Any = simulator.stats
    counts: dict[str, int] = stats["connections"][path]
    return counts


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(fast(symbols=40, frame_size=0)) as simulator:
        yield simulator


async def test_a_batch_of_messages_is_delivered_completely(simulator: Simulator) -> None:
    callbacks = Callbacks()
    frames = stocks(simulator, callbacks)
    frames.add_symbols(["*"])
    async with running(frames):
        await until(lambda: len(callbacks.batches) >= 5, limit_s=WAIT_S)
    assert callbacks.subscriptions() == [["*"]]
    assert callbacks.subscriptions("updatedBars") == [["*"]]
    minutes = [{message["t"] for message in batch} for batch in callbacks.batches]
    assert [len(minute) for minute in minutes] == [1] * len(minutes)
    assert len(set.union(*minutes)) == len(minutes)
    assert max(len(batch) for batch in callbacks.batches) > 40
    assert {message["T"] for batch in callbacks.batches for message in batch} == {"b"}


async def test_crypto_has_its_own_stream(simulator: Simulator) -> None:
    callbacks = Callbacks()
    frames = CryptoStream("simulator", "simulator", "us", simulator.stream_url, callbacks)
    frames.add_symbols(["BTC/USD"])
    async with running(frames):
        await until(lambda: callbacks.batches, limit_s=WAIT_S)
    assert callbacks.batches[0][0]["S"] == "BTC/USD"
    assert callbacks.subscriptions() == [["BTC/USD"]]


async def test_symbols_are_added_and_removed_while_connected(simulator: Simulator) -> None:
    callbacks = Callbacks()
    frames = stocks(simulator, callbacks)
    frames.add_symbols(["SPY"])
    async with running(frames):
        await until(lambda: frames._running and callbacks.subscriptions(), limit_s=WAIT_S)
        frames.add_symbols(["AAPL"])
        await frames.subscribe_all()
        await until(
            lambda: ["AAPL", "SPY"] in map(sorted, callbacks.subscriptions()), limit_s=WAIT_S
        )
        await frames.remove_symbols(["SPY", "MSFT"])
        await until(lambda: callbacks.subscriptions()[-1] == ["AAPL"], limit_s=WAIT_S)
        await until(lambda: callbacks.subscriptions("updatedBars")[-1] == ["AAPL"], limit_s=WAIT_S)


async def test_a_subscription_before_the_connection_waits_for_it(simulator: Simulator) -> None:
    callbacks = Callbacks()
    frames = stocks(simulator, callbacks)
    frames.add_symbols(["SPY", "AAPL"])
    await frames.subscribe_all()
    await frames.remove_symbols(["AAPL"])
    async with running(frames):
        await until(callbacks.subscriptions, limit_s=WAIT_S)
    assert callbacks.subscriptions()[0] == ["SPY"]


async def test_a_server_without_a_greeting_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "GREETING_S", 0.1)
    callbacks = Callbacks()
    async with Simulator(fast(faults=Faults(no_greeting=True))) as simulator:
        frames = stocks(simulator, callbacks)
        frames.add_symbols(["SPY"])
        async with running(frames):
            await until(lambda: connections(simulator)["total"] >= 2, limit_s=WAIT_S)
            simulator.clear_faults()
            await until(lambda: callbacks.batches, limit_s=WAIT_S)
    assert frames.refusal == ""


async def test_a_stream_without_a_greeting_stops_immediately() -> None:
    async with Simulator(fast(faults=Faults(no_greeting=True))) as simulator:
        frames = stocks(simulator, Callbacks())
        frames.add_symbols(["SPY"])
        async with running(frames):
            await until(lambda: connections(simulator)["total"], limit_s=WAIT_S)


async def test_wrong_keys_end_the_run(simulator: Simulator) -> None:
    frames = stocks(simulator, Callbacks(), secret="wrong")
    frames.add_symbols(["SPY"])
    async with asyncio.timeout(WAIT_S):
        await frames.run_connected()
    assert frames.refusal.startswith("auth failed (402); check the keys")
    assert connections(simulator)["total"] == 1


async def test_a_feed_that_is_not_in_the_plan_ends_the_run() -> None:
    async with Simulator(fast(feeds=frozenset({"sip"}))) as simulator:
        frames = stocks(simulator, Callbacks())
        frames.add_symbols(["SPY"])
        async with asyncio.timeout(WAIT_S):
            await frames.run_connected()
        assert connections(simulator)["total"] == 1
    assert frames.refusal.startswith("insufficient subscription (409)")


async def test_a_stream_can_run_again_after_a_refusal(simulator: Simulator) -> None:
    callbacks = Callbacks()
    simulator.arm({"auth_fail": 1})
    frames = stocks(simulator, callbacks)
    frames.add_symbols(["SPY"])
    async with asyncio.timeout(WAIT_S):
        await frames.run_connected()
    assert frames.refusal
    async with running(frames):
        await until(lambda: callbacks.batches, limit_s=WAIT_S)


async def test_a_stream_waits_for_the_only_connection(simulator: Simulator) -> None:
    first, second = Callbacks(), Callbacks()
    holder, waiter = stocks(simulator, first), stocks(simulator, second)
    holder.add_symbols(["SPY"])
    waiter.add_symbols(["SPY"])
    async with running(waiter) as waiting:
        async with running(holder):
            await until(lambda: first.batches or second.batches, limit_s=WAIT_S)
        await until(lambda: second.batches, limit_s=WAIT_S)
        assert not waiting.done()
    assert waiter.refusal == ""


async def test_an_abort_is_followed_by_the_same_subscription(simulator: Simulator) -> None:
    callbacks = Callbacks()
    frames = stocks(simulator, callbacks)
    frames.add_symbols(["SPY", "AAPL"])
    async with running(frames):
        await until(lambda: callbacks.batches, limit_s=WAIT_S)
        simulator.arm({"abort": True})
        await until(lambda: callbacks.disconnects == 1, limit_s=WAIT_S)
        before = len(callbacks.batches)
        await until(lambda: len(callbacks.batches) > before, limit_s=WAIT_S)
    assert connections(simulator)["total"] == 2
    assert [sorted(symbols) for symbols in callbacks.subscriptions()] == [["AAPL", "SPY"]] * 2


async def test_an_error_after_the_greeting_is_passed_on(simulator: Simulator) -> None:
    simulator.arm({"post_auth_error": 405})
    callbacks = Callbacks()
    frames = stocks(simulator, callbacks)
    frames.add_symbols(["SPY"])
    async with running(frames) as task:
        await until(lambda: callbacks.controls, limit_s=WAIT_S)
        assert not task.done()
    assert [(m["T"], m["code"]) for m in callbacks.controls] == [("error", 405)]


async def test_a_quiet_stream_stops_quickly(simulator: Simulator) -> None:
    callbacks = Callbacks()
    frames = stocks(simulator, callbacks)
    frames.add_symbols(["NONE"])
    async with running(frames):
        await until(callbacks.subscriptions, limit_s=WAIT_S)
    assert callbacks.batches == []
    assert callbacks.disconnects == 1
    await until(lambda: connections(simulator)["open"] == 0, limit_s=WAIT_S)


async def test_a_stream_without_symbols_stops_quickly(simulator: Simulator) -> None:
    async with running(stocks(simulator, Callbacks())):
        await asyncio.sleep(0)
    assert connections(simulator)["total"] == 0


async def test_a_stream_without_a_server_stops_quickly() -> None:
    frames = StockStream("k", "s", "iex", "ws://127.0.0.1:1", Callbacks())
    frames.add_symbols(["SPY"])
    async with running(frames):
        await asyncio.sleep(0.1)
    assert frames.refusal == ""
