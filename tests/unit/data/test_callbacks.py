import asyncio
from datetime import UTC, datetime

from lean_lite.algorithm.data_models import DataQualityLevel, TradeBar
from lean_lite.data.callbacks import Callbacks
from lean_lite.data.mailbox import Update


class Origin:
    stopped = False


def update(number: int) -> Update:
    bar = TradeBar("SPY", datetime(2026, 11, 23, 15, number, tzinfo=UTC), 1, 1, 1, 1, number)
    return Update("SPY", bar, DataQualityLevel.GOOD, Origin())


async def test_every_function_gets_every_update_in_order() -> None:
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


async def test_who_has_room_gets_an_update_before_anybody_is_waited_for() -> None:
    callbacks, got, gate = Callbacks(), list[float](), asyncio.Event()

    async def slow(symbol: str, bar: TradeBar, quality: DataQualityLevel) -> None:
        await gate.wait()

    callbacks.add(slow, bound=1)
    callbacks.add(lambda symbol, bar, quality: got.append(bar.volume))

    sending = asyncio.create_task(send_all(callbacks, 5))
    for _ in range(20):
        await asyncio.sleep(0)
    # One is called, one waits for the call, and one waits for room.
    assert got == [0, 1, 2]
    assert not sending.done()
    gate.set()
    await sending
    while len(got) < 5:
        await asyncio.sleep(0)
    assert got == [0, 1, 2, 3, 4]
    await callbacks.stop()


async def test_one_that_is_removed_holds_nobody_any_more() -> None:
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


async def send_all(callbacks: Callbacks, count: int) -> None:
    for number in range(count):
        await callbacks.put(update(number))
