import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_lite.data.live.queue import BarQueue
from lean_lite.data.streams import Slice, Slices
from lean_lite.data.streams.alignment import MAX_OPEN, Alignment
from lean_lite.model.timestamps import to_ns
from lean_lite.protocol.live import LiveBar

MINUTE_NS = 60_000_000_000
SYMBOLS = ("AAPL", "MSFT", "BTC/USD")


def record(symbol: str, minute: int, close: float = 1.0) -> LiveBar:
    return LiveBar(symbol, minute * MINUTE_NS, 1.0, 2.0, 0.5, close, 1.0, 4, minute, "iex", 0)


def minutes(slices: list[Slice]) -> list[int]:
    return [to_ns(one.timestamp) // MINUTE_NS for one in slices]


def test_a_slice_is_due_when_every_symbol_has_its_bar() -> None:
    alignment = Alignment(SYMBOLS, 2.0)
    for symbol in SYMBOLS:
        assert not list(alignment.due(0.0))
        assert alignment.add(record(symbol, 1), 0.0) is None
    (due,) = alignment.due(0.0)
    assert list(due.bars) == list(SYMBOLS)
    assert (due.missing, due.revision) == ((), 0)
    assert "MSFT" in due
    assert due["MSFT"].close == 1.0


def test_a_symbol_with_a_later_bar_is_missing_from_the_earlier_slice() -> None:
    alignment = Alignment(SYMBOLS, 2.0)
    for symbol, minute in (("AAPL", 1), ("MSFT", 1), ("BTC/USD", 2)):
        alignment.add(record(symbol, minute), 0.0)
    (due,) = alignment.due(0.0)
    assert due.missing == ("BTC/USD",)


def test_a_slice_waits_for_a_silent_symbol_until_its_grace_ends() -> None:
    alignment = Alignment(SYMBOLS, 2.0)
    alignment.add(record("AAPL", 1), 0.0)
    assert not list(alignment.due(9.9))
    alignment.add(record("AAPL", 2), 10.0)
    assert alignment.deadline == 12.0
    assert not list(alignment.due(11.9))
    assert minutes(list(alignment.due(12.0))) == [1]
    assert alignment.deadline is None


def test_a_late_bar_yields_a_revision_with_all_bars() -> None:
    alignment = Alignment(("AAPL", "MSFT"), 0.0)
    alignment.add(record("AAPL", 1), 0.0)
    alignment.add(record("AAPL", 2), 0.0)
    assert minutes(list(alignment.due(0.0))) == [1]
    revised = alignment.add(record("MSFT", 1, 9.0), 0.0)
    assert revised is not None
    assert (revised.revision, revised.missing, revised["MSFT"].close) == (1, (), 9.0)
    again = alignment.add(record("AAPL", 1, 8.0), 0.0)
    assert again is not None
    assert (again.revision, again["AAPL"].close, again["MSFT"].close) == (2, 8.0, 9.0)


@given(
    st.lists(st.tuples(st.sampled_from(SYMBOLS), st.integers(0, 3), st.floats(0, 3)), max_size=60),
    st.floats(0, 5),
)
def test_slices_come_in_order_and_no_bar_is_lost(
    steps: list[tuple[str, int, float]], grace_s: float
) -> None:
    alignment = Alignment(SYMBOLS, grace_s)
    minute = dict.fromkeys(SYMBOLS, 0)
    first: list[Slice] = []
    known: dict[tuple[str, int], float] = {}
    now = 0.0
    for number, (symbol, ahead, pause_s) in enumerate(steps):
        minute[symbol] += ahead
        now += pause_s
        known[symbol, minute[symbol]] = float(number)
        revised = alignment.add(record(symbol, minute[symbol], float(number)), now)
        if revised is not None:
            assert revised[symbol].close == float(number)
            del known[symbol, minute[symbol]]
        for due in alignment.due(now):
            first.append(due)
            for name, bar in due.bars.items():
                assert known.pop((name, minutes([due])[0])) == bar.close
    for symbol in SYMBOLS:
        alignment.add(record(symbol, 1_000), now)
    for due in alignment.due(now):
        first.append(due)
        for name in due.bars:
            known.pop((name, minutes([due])[0]), None)
    assert minutes(first) == sorted(set(minutes(first)))
    assert not known


class FakeLive:
    """Live records that a test puts in."""

    def __init__(self) -> None:
        self._queue = BarQueue()
        self.opened = 0
        self.stopped = 0

    @property
    def behind(self) -> int:
        return len(self._queue)

    async def __anext__(self) -> LiveBar:
        (one,) = await self._queue.get(1)
        return one

    async def open(self) -> "FakeLive":
        self.opened += 1
        return self

    async def stop(self) -> None:
        self.stopped += 1
        self._queue.close()

    def put(self, symbol: str, minutes: Iterable[int]) -> None:
        self._queue.put([record(symbol, minute) for minute in minutes])


def summary(one: Slice) -> tuple[int, list[str], int]:
    return minutes([one])[0], list(one.bars), one.revision


async def compute(busy_s: float) -> None:
    time.sleep(busy_s)  # noqa: ASYNC251 - a strategy that blocks the event loop


@pytest.mark.parametrize("work", [asyncio.sleep, compute])
async def test_queued_bars_are_not_missing_even_if_the_strategy_is_slow(
    work: Callable[[float], Awaitable[None]],
) -> None:
    live = FakeLive()
    live.put("AAPL", range(6))
    live.put("MSFT", range(6))
    got = []
    async with asyncio.timeout(10), Slices(live.open, ["AAPL", "MSFT"], 0.1) as slices:
        for _ in range(6):
            got.append(summary(await anext(slices)))
            await work(0.15)
    assert got == [(minute, ["AAPL", "MSFT"], 0) for minute in range(6)]


@pytest.mark.parametrize("work", [asyncio.sleep, compute])
async def test_bars_that_arrive_while_the_strategy_computes_are_not_missing(
    work: Callable[[float], Awaitable[None]],
) -> None:
    live = FakeLive()
    loop = asyncio.get_running_loop()
    got = []
    async with asyncio.timeout(10), Slices(live.open, ["AAPL", "MSFT"], 0.1) as slices:
        live.put("AAPL", range(3))
        live.put("MSFT", range(1))
        for minute in range(6):
            got.append(summary(await anext(slices)))
            # In the socket until then: a blocked event loop reads it only when a slice is awaited.
            loop.call_later(0.14, live.put, "AAPL", [minute + 3])
            loop.call_later(0.15, live.put, "MSFT", [minute + 1])
            await work(0.2)
    assert got == [(minute, ["AAPL", "MSFT"], 0) for minute in range(6)]


async def test_a_silent_symbol_is_missing_after_its_grace() -> None:
    live = FakeLive()
    # The graces of all slices run at the same time: in turn they would take 40 s.
    async with asyncio.timeout(20), Slices(live.open, ["AAPL", "MSFT"], 0.2) as slices:
        live.put("AAPL", range(201))
        started_s = time.monotonic()
        got = [summary(await anext(slices)) for _ in range(200)]
        assert time.monotonic() - started_s >= 0.2
        assert got == [(minute, ["AAPL"], 0) for minute in range(200)]
        live.put("MSFT", [1])
        assert summary(await anext(slices)) == (1, ["AAPL", "MSFT"], 1)


async def test_cancelled_waiting_counts_as_grace() -> None:
    live = FakeLive()
    async with Slices(live.open, ["AAPL", "MSFT"], 0.2) as slices:
        live.put("AAPL", range(2))
        for _ in range(100):
            try:
                async with asyncio.timeout(0.02):
                    assert summary(await anext(slices)) == (0, ["AAPL"], 0)
                    return
            except TimeoutError:
                pass
    pytest.fail("no slice was yielded")


async def test_no_more_than_a_day_of_slices_is_open() -> None:
    live = FakeLive()
    async with asyncio.timeout(10), Slices(live.open, ["AAPL", "MSFT"], 60.0) as slices:
        live.put("AAPL", range(MAX_OPEN + 2))
        got = [summary(await anext(slices)) for _ in range(2)]
    assert got == [(0, ["AAPL"], 0), (1, ["AAPL"], 0)]


async def test_a_closed_stream_does_not_start_again() -> None:
    live = FakeLive()
    slices = Slices(live.open, ["AAPL"], 0.1)
    live.put("AAPL", range(3))
    await anext(slices)
    for _ in range(2):
        await slices.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(slices)
    assert (live.opened, live.stopped) == (1, 1)
    unused = Slices(live.open, ["AAPL"], 0.1)
    await unused.aclose()
    assert [one async for one in unused] == []
    assert live.opened == 1


async def test_a_stream_closed_during_its_start_stops() -> None:
    live, gate = FakeLive(), asyncio.Event()

    async def open_live() -> FakeLive:
        await gate.wait()
        return live

    slices = Slices(open_live, ["AAPL"], 0.1)
    waiting = asyncio.create_task(anext(aiter(slices), None))
    await asyncio.sleep(0)
    await slices.aclose()
    gate.set()
    assert await waiting is None
    assert live.stopped == 1


async def test_a_garbage_collected_stream_stops() -> None:
    live = FakeLive()
    live.put("AAPL", range(3))
    async for _ in Slices(live.open, ["AAPL"], 0.1):
        break
    await asyncio.sleep(0.01)
    assert live.stopped == 1


async def test_a_failed_stop_of_a_garbage_collected_stream_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Unstoppable(FakeLive):
        async def stop(self) -> None:
            message = "the bus is away"
            raise OSError(message)

    live = Unstoppable()
    live.put("AAPL", range(3))
    caplog.set_level("INFO")
    async for _ in Slices(live.open, ["AAPL"], 0.1):
        break
    await asyncio.sleep(0.01)
    assert "a stream of slices could not be stopped: the bus is away" in caplog.messages
