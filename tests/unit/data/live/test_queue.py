import asyncio

import pytest

from lean_lite.data.live.queue import BarQueue
from lean_lite.protocol.live import LiveBar
from tests.harness.bars import live_bar


def some(count: int, symbol: str = "SPY") -> list[LiveBar]:
    return [live_bar(symbol=symbol, seq=seq) for seq in range(1, count + 1)]


async def test_bars_come_in_order_and_no_more_than_asked_for() -> None:
    queue, bars = BarQueue(), some(5)
    queue.put(bars[:2])
    queue.put(bars[2:])
    assert await queue.get(3) == bars[:3]
    assert await queue.get(3) == bars[3:]
    assert len(queue) == 0


async def test_who_takes_waits_for_a_bar() -> None:
    queue = BarQueue()
    taking = asyncio.create_task(queue.get(9))
    await asyncio.sleep(0)
    queue.put([])
    await asyncio.sleep(0)
    assert not taking.done()
    queue.put(some(1))
    assert await taking == some(1)


async def test_one_who_gives_up_waiting_takes_nothing() -> None:
    queue = BarQueue()
    taking = asyncio.create_task(queue.get(1))
    await asyncio.sleep(0)
    queue.put(some(1))
    taking.cancel()
    await asyncio.wait([taking])
    assert await queue.get(1) == some(1)


async def test_streams_are_told_once_half_of_it_is_free() -> None:
    queue, told = BarQueue(4), list[int]()
    queue.attach(lambda: told.append(queue.room))
    assert queue.room == 4
    queue.put(some(6))
    assert queue.room == -2
    await queue.get(3)
    assert told == []
    await queue.get(1)
    await queue.get(1)
    assert told == [2]


async def test_a_stream_that_leaves_takes_its_bars_along() -> None:
    queue, told = BarQueue(2), list[str]()

    def has_room() -> None:
        told.append("room")

    queue.attach(has_room)
    queue.put([*some(2), *some(2, "AAPL")])
    assert queue.detach(has_room, ["SPY"]) == some(2)
    assert await queue.get(2) == some(2, "AAPL")
    assert told == []


async def test_who_stays_is_told_of_the_room_that_another_one_leaves() -> None:
    queue, told = BarQueue(2), list[str]()

    def one() -> None:
        told.append("one")

    queue.attach(one)
    queue.attach(lambda: told.append("other"))
    queue.put([*some(2), *some(1, "AAPL")])
    queue.detach(one, ["SPY"])
    assert told == ["other"]


async def test_after_the_end_the_rest_is_taken_and_who_waits_hears_of_it() -> None:
    queue = BarQueue()
    queue.put(some(2))
    queue.close()
    assert await queue.get(9) == some(2)
    with pytest.raises(StopAsyncIteration):
        await queue.get(9)
    waiting = BarQueue()
    taking = asyncio.create_task(first(waiting))
    await asyncio.sleep(0)
    waiting.close()
    assert await taking is None


async def first(queue: BarQueue) -> LiveBar | None:
    try:
        return (await queue.get(1))[0]
    except StopAsyncIteration:
        return None


async def test_an_error_comes_once_behind_what_waits_and_then_the_end() -> None:
    queue, bars = BarQueue(), some(2)
    queue.put(bars)
    queue.close(OSError("gone"))
    queue.close()
    assert await queue.get(9) == bars
    with pytest.raises(OSError, match="gone"):
        await queue.get(1)
    with pytest.raises(StopAsyncIteration):
        await queue.get(1)
