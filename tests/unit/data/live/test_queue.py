import asyncio

import pytest

from lean_lite.data.live.queue import BarQueue
from lean_lite.protocol.live import LiveBar
from tests.harness.bars import live_bar


def bars_of(count: int, symbol: str = "SPY") -> list[LiveBar]:
    return [live_bar(symbol=symbol, seq=seq) for seq in range(1, count + 1)]


async def test_get_returns_the_oldest_bars_up_to_the_requested_number() -> None:
    queue, bars = BarQueue(), bars_of(5)
    queue.put(bars[:2])
    queue.put(bars[2:])
    assert await queue.get(3) == bars[:3]
    assert await queue.get(3) == bars[3:]
    assert len(queue) == 0


async def test_get_waits_for_a_bar() -> None:
    queue = BarQueue()
    get = asyncio.create_task(queue.get(9))
    await asyncio.sleep(0)
    queue.put([])
    await asyncio.sleep(0)
    assert not get.done()
    queue.put(bars_of(1))
    assert await get == bars_of(1)


async def test_a_cancelled_get_removes_nothing() -> None:
    queue = BarQueue()
    get = asyncio.create_task(queue.get(1))
    await asyncio.sleep(0)
    queue.put(bars_of(1))
    get.cancel()
    await asyncio.wait([get])
    assert await queue.get(1) == bars_of(1)


async def test_streams_are_notified_once_when_half_of_the_queue_is_free() -> None:
    queue, notified = BarQueue(4), list[int]()
    queue.attach(lambda: notified.append(queue.room))
    assert queue.room == 4
    queue.put(bars_of(6))
    assert queue.room == -2
    await queue.get(3)
    assert notified == []
    await queue.get(1)
    await queue.get(1)
    assert notified == [2]


async def test_detach_returns_the_queued_bars_of_a_stream() -> None:
    queue, notified = BarQueue(2), list[str]()

    def on_room() -> None:
        notified.append("room")

    queue.attach(on_room)
    queue.put([*bars_of(2), *bars_of(2, "AAPL")])
    assert queue.detach(on_room, ["SPY"]) == bars_of(2)
    assert await queue.get(2) == bars_of(2, "AAPL")
    assert notified == []


async def test_other_streams_are_notified_when_a_detached_stream_frees_room() -> None:
    queue, notified = BarQueue(2), list[str]()

    def one() -> None:
        notified.append("one")

    queue.attach(one)
    queue.attach(lambda: notified.append("other"))
    queue.put([*bars_of(2), *bars_of(1, "AAPL")])
    queue.detach(one, ["SPY"])
    assert notified == ["other"]


async def test_close_ends_the_queue_after_its_bars_and_wakes_the_reader() -> None:
    queue = BarQueue()
    queue.put(bars_of(2))
    queue.close()
    assert await queue.get(9) == bars_of(2)
    with pytest.raises(StopAsyncIteration):
        await queue.get(9)
    waiting = BarQueue()
    get = asyncio.create_task(first(waiting))
    await asyncio.sleep(0)
    waiting.close()
    assert await get is None


async def first(queue: BarQueue) -> LiveBar | None:
    try:
        return (await queue.get(1))[0]
    except StopAsyncIteration:
        return None


async def test_a_closed_queue_raises_its_error_once_after_the_bars_and_then_ends() -> None:
    queue, bars = BarQueue(), bars_of(2)
    queue.put(bars)
    queue.close(OSError("gone"))
    queue.close()
    assert await queue.get(9) == bars
    with pytest.raises(OSError, match="gone"):
        await queue.get(1)
    with pytest.raises(StopAsyncIteration):
        await queue.get(1)
