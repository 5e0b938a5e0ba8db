import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_lite.data.streams.prefetch import PrefetchQueue


async def drained(handover: PrefetchQueue[int]) -> list[int]:
    got = []
    while True:
        try:
            got.append(await handover.get())
        except StopAsyncIteration:
            return got


@given(st.integers(1, 4), st.lists(st.booleans(), max_size=40))
@settings(deadline=None)
def test_everything_is_taken_once_in_order_and_within_the_bound(
    bound: int, pauses: list[bool]
) -> None:
    handover: PrefetchQueue[int] = PrefetchQueue(bound)
    most = 0

    async def put() -> None:
        nonlocal most
        for number, pause in enumerate(pauses):
            await handover.put(number)
            most = max(most, len(list(handover)))
            if pause:
                await asyncio.sleep(0)
        handover.close()

    async def both() -> list[int]:
        async with asyncio.TaskGroup() as group:
            group.create_task(put())
            taking = group.create_task(drained(handover))
        return taking.result()

    assert asyncio.run(both()) == list(range(len(pauses)))
    assert most <= bound


async def test_who_puts_waits_for_room() -> None:
    handover: PrefetchQueue[int] = PrefetchQueue(1)
    await handover.put(1)
    putting = asyncio.create_task(handover.put(2))
    await asyncio.sleep(0)
    assert not putting.done()
    assert list(handover) == [1, 2]
    assert await handover.get() == 1
    await putting


async def test_waiting_may_be_cancelled_and_nothing_is_lost() -> None:
    handover: PrefetchQueue[int] = PrefetchQueue(1)
    for number in range(3):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(handover.get(), 0.01)
        await handover.put(number)
        assert await handover.get() == number


async def test_an_error_comes_once_after_what_was_put() -> None:
    handover: PrefetchQueue[int] = PrefetchQueue(2)
    await handover.put(1)
    handover.close(KeyError("gone"))
    handover.close()
    assert await handover.get() == 1
    with pytest.raises(KeyError):
        await handover.get()
    assert await drained(handover) == []


async def test_closing_wakes_who_waits() -> None:
    handover: PrefetchQueue[int] = PrefetchQueue(2)
    waiting = asyncio.create_task(drained(handover))
    await asyncio.sleep(0)
    handover.close()
    assert await asyncio.wait_for(waiting, 1) == []
