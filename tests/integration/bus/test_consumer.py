"""A consumer delivers every frame once and in order, also when the server is killed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest

from lean_lite.bus import Bus, Consumer, Frame
from lean_lite.errors import DecodeError
from lean_lite.protocol.subjects import RAW
from tests.harness.brokers import Brokers
from tests.harness.frames import Feeder, RawFrame
from tests.harness.waiting import until
from tests.integration.conftest import Join

EVERY = "md.raw.>"


def numbered(numbers: range) -> list[RawFrame]:
    """Return frames of four lanes, in turn."""
    return [RawFrame(f"md.raw.iex.equity.{n % 4}", b"%d" % n, {"Number": str(n)}) for n in numbers]


class Reader:
    """Run a consumer in the background and keep its frames."""

    def __init__(self, bus: Bus, subject: str, after_seq: int, pause_s: float) -> None:
        self.frames: list[Frame] = []
        self._pause_s = pause_s
        self.consumer = Consumer(bus, RAW, subject, self._on_frame, after_seq=after_seq)
        self.task = asyncio.create_task(self.consumer.run())

    @property
    def seqs(self) -> list[int]:
        return [frame.seq for frame in self.frames]

    async def _on_frame(self, frame: Frame) -> None:
        await asyncio.sleep(self._pause_s)
        self.frames.append(frame)

    async def stop(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


Read = Callable[..., Awaitable[Reader]]


@pytest.fixture
async def read(join: Join) -> AsyncIterator[Read]:
    readers: list[Reader] = []

    async def read(subject: str = EVERY, after_seq: int = 0, pause_s: float = 0.0) -> Reader:
        readers.append(Reader(await join("validate"), subject, after_seq, pause_s))
        return readers[-1]

    yield read
    for reader in readers:
        await reader.stop()


@pytest.fixture
async def feeder(join: Join) -> Feeder:
    return Feeder(await join("ingest"))


async def test_frames_arrive_in_order_with_payload_headers_and_time(
    read: Read, feeder: Feeder
) -> None:
    await feeder.publish(*numbered(range(150)))
    reader = await read()
    await feeder.publish(*numbered(range(150, 300)))
    await until(lambda: len(reader.frames) >= 300, "all frames")
    assert reader.seqs == feeder.seqs == list(range(1, 301))
    assert reader.consumer.seq == 300
    for frame, sent in zip(reader.frames, feeder.published, strict=True):
        assert (frame.subject, frame.payload) == (sent.subject, sent.payload)
        assert frame.headers["Number"] == sent.headers["Number"]
    times = [frame.stored_ns for frame in reader.frames]
    assert times == sorted(times)
    assert times[0] > 1_600_000_000 * 10**9


async def test_a_filtered_consumer_receives_only_its_lane(read: Read, feeder: Feeder) -> None:
    reader = await read("md.raw.*.equity.2")
    await feeder.publish(*numbered(range(100)))
    await until(lambda: len(reader.frames) >= 25, "the lane's frames")
    assert [frame.payload for frame in reader.frames] == [b"%d" % n for n in range(2, 100, 4)]


@pytest.mark.parametrize("after_seq", [0, 1, 57, 99, 100])
async def test_a_consumer_resumes_after_a_sequence(
    after_seq: int, read: Read, feeder: Feeder
) -> None:
    await feeder.publish(*numbered(range(100)))
    reader = await read(after_seq=after_seq)
    await feeder.publish(*numbered(range(100, 110)))
    await until(lambda: reader.consumer.seq == 110, "the last frame")
    assert reader.seqs == list(range(after_seq + 1, 111))


async def test_a_lane_far_behind_the_stream_resumes_after_its_sequence(
    read: Read, feeder: Feeder
) -> None:
    """After a while without messages, nats-py starts again at the start of the stream."""
    await feeder.publish(*numbered(range(4)), *numbered(range(1, 200, 4)))
    reader = await read("md.raw.*.equity.0", after_seq=1)
    await asyncio.sleep(4)
    await feeder.publish(*numbered(range(4, 8)))
    await until(lambda: reader.frames, "the lane's next frame")
    assert [frame.payload for frame in reader.frames] == [b"4"]


async def test_a_slow_handler_gets_every_frame_one_at_a_time(read: Read, feeder: Feeder) -> None:
    reader = await read(pause_s=0.003)
    await feeder.publish(*numbered(range(400)))
    await until(lambda: len(reader.frames) >= 400, "all frames")
    assert reader.seqs == list(range(1, 401))


async def test_a_handler_that_fails_ends_the_run_with_its_error(join: Join, feeder: Feeder) -> None:
    seen: list[int] = []

    async def on_frame(frame: Frame) -> None:
        seen.append(frame.seq)
        if frame.seq == 30:
            raise DecodeError("frame 30")

    await feeder.publish(*numbered(range(60)))
    consumer = Consumer(await join("validate"), RAW, EVERY, on_frame)
    with pytest.raises(DecodeError, match="frame 30"):
        await asyncio.wait_for(consumer.run(), 30)
    assert seen == list(range(1, 31))
    assert consumer.seq == 29


async def test_no_frame_is_lost_or_duplicated_when_the_server_is_killed(
    read: Read, feeder: Feeder, brokers: Brokers
) -> None:
    reader = await read()
    lane = await read("md.raw.*.equity.1")
    async with feeder.publishing(iter(numbered(range(100_000)))):
        for number in range(3):
            seen = len(reader.frames)
            await until(lambda: len(reader.frames) > seen + 30, "more frames")  # noqa: B023
            await brokers.kill_nats()
            await asyncio.sleep(0.3 * number)
            await brokers.start_nats()
        seen = len(feeder.published)
        await until(lambda: len(feeder.published) > seen + 30, "frames after the last kill")
    count = len(feeder.published)
    await until(lambda: reader.consumer.seq == count, "the last frame")
    assert reader.seqs == feeder.seqs == list(range(1, count + 1))
    assert [frame.payload for frame in reader.frames] == [b"%d" % n for n in range(count)]
    expected = [b"%d" % n for n in range(1, count, 4)]
    await until(lambda: len(lane.frames) >= len(expected), "the lane's last frame")
    assert [frame.payload for frame in lane.frames] == expected
