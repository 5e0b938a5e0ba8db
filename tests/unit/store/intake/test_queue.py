import asyncio

import pytest

from lean_lite.protocol.partitions import Lane
from lean_lite.protocol.subjects import bulk_graded, graded
from lean_lite_store.intake.frames import IncomingFrame
from lean_lite_store.intake.queue import BULK_FRAMES, FlushQueue

LANE = Lane("equity", 1)


def live(seq: int) -> IncomingFrame:
    return IncomingFrame(seq, graded(LANE))


def bulk(seq: int) -> IncomingFrame:
    return IncomingFrame(seq, bulk_graded(LANE))


async def test_live_frames_are_taken_before_earlier_frames_of_history() -> None:
    pending = FlushQueue(10)
    for frame in (bulk(1), bulk(2), live(1), live(2)):
        await pending.put(frame)
    assert await pending.get(100) == [live(1), live(2)]
    assert await pending.get(100) == [bulk(1)]
    await pending.put(live(3))
    assert await pending.get(100) == [live(3)]
    assert await pending.get(100) == [bulk(2)]


async def test_queued_history_does_not_block_live_frames() -> None:
    pending = FlushQueue(1)
    for seq in range(BULK_FRAMES):
        await pending.put(bulk(seq))
    blocked = asyncio.ensure_future(pending.put(bulk(99)))
    await asyncio.wait_for(pending.put(live(1)), 1)
    assert not blocked.done()
    assert await pending.get(100) == [live(1)]
    assert await pending.get(100) == [bulk(0)]
    await asyncio.wait_for(blocked, 1)


async def test_put_into_a_full_queue_waits_for_room() -> None:
    pending = FlushQueue(1)
    await pending.put(live(1))
    blocked = asyncio.ensure_future(pending.put(live(2)))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(blocked), 0.05)
    await pending.get(1)
    await asyncio.wait_for(blocked, 1)


async def test_join_waits_until_the_taken_frames_are_stored() -> None:
    pending = FlushQueue(10)
    await pending.put(live(1))
    joined = asyncio.ensure_future(pending.join())
    await pending.get(1)
    await asyncio.sleep(0)
    assert not joined.done()
    await pending.task_done()
    await asyncio.wait_for(joined, 1)
