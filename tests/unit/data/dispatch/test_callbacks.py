import asyncio
import time
from datetime import UTC, datetime

import pytest

from lean_lite.data.dispatch.callbacks import Callbacks
from lean_lite.data.dispatch.mailbox import BarUpdate
from lean_lite.model import DataQualityLevel, TradeBar


class ActiveSource:
    stopped = False


def update(number: int) -> BarUpdate:
    bar = TradeBar("SPY", datetime(2026, 11, 23, 15, number, tzinfo=UTC), 1, 1, 1, 1, number)
    return BarUpdate("SPY", bar, DataQualityLevel.GOOD, ActiveSource())


async def test_every_callback_gets_every_update_in_order() -> None:
    callbacks, one, two = Callbacks(), list[float](), list[float]()

    async def later(symbol: str, bar: TradeBar, quality: DataQualityLevel) -> None:
        await asyncio.sleep(0)
        two.append(bar.volume)

    callbacks.add(lambda symbol, bar, quality: one.append(bar.volume))
    callbacks.add(later)
    for number in range(5):
        await callbacks.put(update(number))
    while len(two) < 5:
        await asyncio.sleep(0)
    assert one == two == [0, 1, 2, 3, 4]
    await callbacks.stop()


async def test_callbacks_with_room_get_an_update_while_a_full_one_blocks() -> None:
    callbacks, got, gate = Callbacks(), list[float](), asyncio.Event()

    async def slow(symbol: str, bar: TradeBar, quality: DataQualityLevel) -> None:
        await gate.wait()

    callbacks.add(slow, bound=1)
    callbacks.add(lambda symbol, bar, quality: got.append(bar.volume))

    sending = asyncio.create_task(send_all(callbacks, 5))
    for _ in range(20):
        await asyncio.sleep(0)
    # The first update is in a call, the second in the mailbox, the third waits for room.
    assert got == [0, 1, 2]
    assert not sending.done()
    gate.set()
    await sending
    while len(got) < 5:
        await asyncio.sleep(0)
    assert got == [0, 1, 2, 3, 4]
    await callbacks.stop()


async def test_removing_a_full_callback_unblocks_the_producer() -> None:
    callbacks, gate = Callbacks(), asyncio.Event()

    async def slow(symbol: str, bar: TradeBar, quality: DataQualityLevel) -> None:
        await gate.wait()

    callbacks.add(slow, bound=1)
    sending = asyncio.create_task(send_all(callbacks, 5))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not sending.done()
    callbacks.remove(slow)
    await sending
    gate.set()


async def test_a_callback_that_awaits_a_cancelled_task_fails_and_is_called_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    callbacks, got = Callbacks(), list[float]()

    async def failing(symbol: str, bar: TradeBar, quality: DataQualityLevel) -> None:
        got.append(bar.volume)
        if bar.volume == 1:
            work = asyncio.create_task(asyncio.sleep(9))
            work.cancel()
            await work

    callbacks.add(failing, bound=1)
    async with asyncio.timeout(5):
        await send_all(callbacks, 5)
        while len(got) < 5:
            await asyncio.sleep(0)
    assert got == [0, 1, 2, 3, 4]
    assert callbacks.failed == 1
    assert "failed for SPY" in caplog.text
    await callbacks.stop()


async def test_a_call_in_progress_is_cancelled_by_a_stop() -> None:
    callbacks, started = Callbacks(), asyncio.Event()

    async def slow(symbol: str, bar: TradeBar, quality: DataQualityLevel) -> None:
        started.set()
        await asyncio.sleep(9)

    callbacks.add(slow)
    await send_all(callbacks, 2)
    await started.wait()
    async with asyncio.timeout(1):
        await callbacks.stop()
    (figures,) = callbacks.to_list()
    assert (figures["called"], figures["failed"], figures["waiting"]) == (1, 0, 1)


async def test_other_tasks_run_between_calls_that_compute() -> None:
    callbacks, got, pauses = Callbacks(), list[float](), list[int]()

    def computes(symbol: str, bar: TradeBar, quality: DataQualityLevel) -> None:
        time.sleep(0.004)
        got.append(bar.volume)

    callbacks.add(computes)
    await send_all(callbacks, 50)
    while len(got) < 50:
        pauses.append(len(got))
        await asyncio.sleep(0)
    assert len(pauses) > 10
    assert got == list(range(50))
    await callbacks.stop()


async def test_a_callback_may_be_removed_between_two_calls() -> None:
    callbacks, got = Callbacks(), list[float]()

    def computes(symbol: str, bar: TradeBar, quality: DataQualityLevel) -> None:
        time.sleep(0.01)
        got.append(bar.volume)

    callbacks.add(computes)
    await send_all(callbacks, 5)
    while not got:
        await asyncio.sleep(0)
    callbacks.remove(computes)
    await asyncio.sleep(0.05)
    assert got == [0]


def test_callbacks_are_called_in_a_second_event_loop() -> None:
    callbacks, got = Callbacks(), list[float]()

    async def run() -> None:
        for number in range(4):
            await callbacks.put(update(number))
            await asyncio.sleep(0.01)
        await send_all(callbacks, 4)
        await asyncio.sleep(0.01)
        await callbacks.stop()

    callbacks.add(lambda symbol, bar, quality: got.append(bar.volume), bound=1)
    for _ in range(2):
        got.clear()
        asyncio.run(asyncio.wait_for(run(), 5))
        assert got == [0, 1, 2, 3, 0, 1, 2, 3]


async def send_all(callbacks: Callbacks, count: int) -> None:
    for number in range(count):
        await callbacks.put(update(number))


@pytest.mark.parametrize("callback", [None, "on_bar", 5, {}])
def test_an_object_that_is_not_callable_is_refused(callback: object) -> None:
    with pytest.raises(TypeError, match=r"takes \(symbol, bar, quality\): .* is not callable"):
        Callbacks().add(callback)  # type: ignore[arg-type]


@pytest.mark.parametrize("callback", [lambda bar: bar, lambda symbol, bar: bar, lambda *, bar: bar])
def test_a_function_with_other_parameters_is_refused_when_it_is_added(callback: object) -> None:
    with pytest.raises(
        TypeError, match=r"takes \(symbol, bar, quality\): .*<lambda>\(.* not accept"
    ):
        Callbacks().add(callback)  # type: ignore[arg-type]


def with_more(symbol: str, bar: TradeBar, quality: DataQualityLevel, more: int = 1) -> None:
    """Can be called without its last argument."""


def test_a_function_with_optional_parameters_is_accepted() -> None:
    callbacks = Callbacks()
    callbacks.add(lambda *args: args)
    callbacks.add(with_more)
    callbacks.add(print)
    assert len(callbacks.to_list()) == 3
