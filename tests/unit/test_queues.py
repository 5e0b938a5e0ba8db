import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from lean_lite.queues import BoundedQueue, QueueClosed


class QueueMachine(RuleBasedStateMachine):
    """Compare a queue with a deque, one call after the other."""

    @initialize(bound=st.integers(1, 4))
    def start(self, bound: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.queue: BoundedQueue[int] = BoundedQueue(bound)
        self.model: deque[int] = deque()
        self.bound = bound
        self.closed = False
        self.numbers = count()

    def teardown(self) -> None:
        self.loop.close()

    @precondition(lambda self: not self.closed)
    @rule()
    def put(self) -> None:
        number = next(self.numbers)
        has_room = len(self.model) < self.bound
        assert self.queue.put_nowait(number) is has_room
        if has_room:
            self.model.append(number)

    @precondition(lambda self: self.model)
    @rule()
    def get(self) -> None:
        assert self.loop.run_until_complete(self.queue.get()) == self.model.popleft()

    @precondition(lambda self: self.model)
    @rule(most=st.integers(1, 5), acknowledged=st.booleans())
    def peek_and_remove(self, most: int, acknowledged: bool) -> None:  # noqa: FBT001
        items = self.loop.run_until_complete(self.queue.peek(most))
        assert items == tuple(self.model)[:most]
        if acknowledged:
            self.queue.remove(len(items))
            for _ in items:
                self.model.popleft()

    @rule()
    def close(self) -> None:
        self.queue.close()
        self.closed = True

    @precondition(lambda self: self.closed)
    @rule()
    def put_into_the_closed_queue(self) -> None:
        with pytest.raises(QueueClosed):
            self.queue.put_nowait(0)

    @precondition(lambda self: self.closed and not self.model)
    @rule()
    def get_after_the_end(self) -> None:
        with pytest.raises(StopAsyncIteration):
            self.loop.run_until_complete(self.queue.get())

    @invariant()
    def holds_the_same_items(self) -> None:
        assert list(self.queue) == list(self.model)
        assert len(self.queue) == len(self.model)


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=30, deadline=None)


async def rest_of(queue: BoundedQueue[int]) -> list[int]:
    items = []
    while True:
        try:
            items.append(await queue.get())
        except StopAsyncIteration:
            return items


async def blocked(task: asyncio.Task[object]) -> bool:
    for _ in range(3):
        await asyncio.sleep(0)
    return not task.done()


@given(st.integers(1, 4), st.lists(st.booleans(), max_size=40))
@settings(deadline=None)
def test_every_item_is_taken_once_in_order_and_within_the_bound(
    bound: int, pauses: list[bool]
) -> None:
    async def produce_and_consume() -> tuple[list[int], int]:
        queue: BoundedQueue[int] = BoundedQueue(bound)
        most = 0

        async def produce() -> None:
            nonlocal most
            for number, pause in enumerate(pauses):
                await queue.put(number)
                most = max(most, len(queue))
                if pause:
                    await asyncio.sleep(0)
            queue.close()

        async with asyncio.TaskGroup() as group:
            group.create_task(produce())
            consumer = group.create_task(rest_of(queue))
        return consumer.result(), most

    items, most = asyncio.run(produce_and_consume())
    assert items == list(range(len(pauses)))
    assert most <= bound


@given(st.integers(1, 3), st.lists(st.booleans(), min_size=1, max_size=12))
@settings(deadline=None)
def test_cancelled_producers_lose_and_repeat_no_item(bound: int, cancelled: list[bool]) -> None:
    async def run() -> None:
        queue: BoundedQueue[int] = BoundedQueue(bound)
        producers = [asyncio.create_task(queue.put(number)) for number in range(len(cancelled))]
        await asyncio.sleep(0)
        # The first item is removed in the same turn of the loop: some producers are cancelled
        # after they were woken and before they have run.
        first = await queue.get()
        for producer, cancel in zip(producers, cancelled, strict=True):
            if cancel:
                producer.cancel()
        rest = asyncio.create_task(rest_of(queue))
        results = await asyncio.gather(*producers, return_exceptions=True)
        queue.close()
        added = [number for number, result in enumerate(results) if result is None]
        assert sorted([first, *await rest]) == added

    asyncio.run(run())


async def test_a_cancelled_get_removes_nothing() -> None:
    queue: BoundedQueue[int] = BoundedQueue(2)
    consumer = asyncio.create_task(queue.get())
    assert await blocked(consumer)
    queue.put_nowait(1)
    consumer.cancel()
    await asyncio.wait([consumer])
    assert consumer.cancelled()
    assert await queue.get() == 1


async def test_put_waits_for_room() -> None:
    queue: BoundedQueue[int] = BoundedQueue(1)
    await queue.put(1)
    producer = asyncio.create_task(queue.put(2))
    assert await blocked(producer)
    assert list(queue) == [1]
    assert await queue.get() == 1
    await producer
    assert list(queue) == [2]


async def test_put_without_room_times_out_and_adds_nothing() -> None:
    queue: BoundedQueue[int] = BoundedQueue(1)
    await queue.put(1)
    with pytest.raises(TimeoutError):
        await queue.put(2, timeout_s=0.01)
    assert list(queue) == [1]


async def test_peek_waits_for_an_item_and_leaves_it_until_remove() -> None:
    queue: BoundedQueue[int] = BoundedQueue(3)
    peek = asyncio.create_task(queue.peek(2))
    assert await blocked(peek)
    for number in range(3):
        queue.put_nowait(number)
    assert await peek == (0, 1)
    assert await queue.peek(9) == (0, 1, 2)
    queue.remove(2)
    assert list(queue) == [2]


async def test_removing_makes_room_for_all_waiting_producers_in_their_order() -> None:
    queue: BoundedQueue[int] = BoundedQueue(3)
    for number in range(3):
        queue.put_nowait(number)
    producers = [asyncio.create_task(queue.put(number)) for number in range(3, 6)]
    await asyncio.sleep(0)
    queue.remove(3)
    await asyncio.gather(*producers)
    assert list(queue) == [3, 4, 5]


async def test_drain_waits_for_the_items_queued_before_and_no_later_ones() -> None:
    queue: BoundedQueue[int] = BoundedQueue(4)
    await queue.drain()
    queue.put_nowait(1)
    queue.put_nowait(2)
    drain = asyncio.create_task(queue.drain())
    assert await blocked(drain)
    queue.put_nowait(3)
    await queue.get()
    assert await blocked(drain)
    await queue.get()
    await drain
    assert list(queue) == [3]


async def test_drain_times_out_while_items_stay() -> None:
    queue: BoundedQueue[int] = BoundedQueue(4)
    queue.put_nowait(1)
    with pytest.raises(TimeoutError):
        await queue.drain(timeout_s=0.01)


@pytest.mark.parametrize("take", [lambda queue: queue.get(), lambda queue: queue.peek(1)])
async def test_the_close_error_is_raised_once_after_the_items_and_then_the_queue_ends(
    take: Callable[[BoundedQueue[int]], Awaitable[object]],
) -> None:
    queue: BoundedQueue[int] = BoundedQueue(2)
    queue.put_nowait(1)
    queue.close(KeyError("gone"))
    queue.close()
    assert await queue.get() == 1
    with pytest.raises(KeyError):
        await take(queue)
    with pytest.raises(StopAsyncIteration):
        await take(queue)


async def test_close_wakes_the_consumer_and_every_producer() -> None:
    empty: BoundedQueue[int] = BoundedQueue(1)
    consumer = asyncio.create_task(rest_of(empty))
    full: BoundedQueue[int] = BoundedQueue(1)
    full.put_nowait(0)
    producers = [asyncio.create_task(full.put(number)) for number in (1, 2)]
    drain = asyncio.create_task(full.drain())
    assert await blocked(consumer)
    empty.close()
    full.close()
    assert await consumer == []
    results = await asyncio.gather(*producers, return_exceptions=True)
    assert [type(result) for result in results] == [QueueClosed, QueueClosed]
    assert await blocked(drain)
    assert await rest_of(full) == [0]
    await drain
