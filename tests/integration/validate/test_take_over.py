"""GRADED has the same content whether or not its owners are killed, frozen or stopped."""

import asyncio
import random
import signal
import time
from collections.abc import Callable

import pytest
from nats.js.kv import KeyValue

from lean_lite.bus import Bus
from lean_lite.protocol.headers import MSG_ID
from lean_lite.protocol.partitions import PARTITIONS, Lane, lane_of
from lean_lite.protocol.subjects import GRADED, LEASES, RAW, graded, lease
from tests.harness.brokers import Brokers
from tests.harness.frames import Feeder, bars, raw_frame, some_frames
from tests.harness.gradings import (
    all_graded,
    check_once_and_in_order,
    graded_up_to,
    gradings,
    returned,
)
from tests.harness.marks import SOAK
from tests.harness.services import Process, Services
from tests.harness.streams import create, recreate, stored
from tests.harness.waiting import until

KILLS = 100 if SOAK else 6

pytestmark = pytest.mark.timeout(3600 if SOAK else 240)


async def owner(admin: Bus, lane: Lane) -> str:
    """Return the instance that holds a lane's lease."""
    bucket: KeyValue = await admin.jetstream.key_value(LEASES)
    entry = await bucket.get(lease("validate", str(lane.partition)))
    return (entry.value or b"").decode()


async def wait_until_shared(*replicas: Process) -> None:
    """Wait until the replicas share all partitions and are ready."""

    def shared() -> bool:
        counts = [replica.counted("lean_lite_validate_partitions") for replica in replicas]
        return sum(counts) == PARTITIONS and max(counts) == PARTITIONS // len(replicas)

    await until(shared, "the replicas to share the partitions")
    for replica in replicas:
        await replica.ready()


@pytest.mark.soak
async def test_graded_has_the_same_bytes_when_owners_are_killed_at_random_moments(
    services: Services,
    feeder: Feeder,
    admin: Bus,
    record_property: Callable[[str, object], None],
) -> None:
    chance = random.Random(11)
    replicas = [services.start("validate"), services.start("validate")]
    await wait_until_shared(*replicas)
    took_s = []
    async with feeder.publishing(some_frames(), pause_s=0.004):
        for _ in range(KILLS):
            await asyncio.sleep(chance.uniform(0.1, 1.2))
            victim = chance.randrange(2)
            await replicas[victim].kill()
            killed_at, sent = time.monotonic(), len(feeder.published)
            replicas[victim] = services.start("validate")
            # A lane has recovered when it has graded a frame that was published after the kill.
            await until(lambda: len(feeder.published) > sent + 60, "frames after the kill")  # noqa: B023
            await all_graded_up_to_now(admin, feeder)
            took_s.append(time.monotonic() - killed_at)
    disturbed = await all_graded(admin, feeder)
    check_once_and_in_order(disturbed, feeder)
    record_property("kills", KILLS)
    record_property("took_s", [round(span, 2) for span in took_s])
    print(f"kills: {KILLS}; caught up after (s): {[round(span, 2) for span in took_s]}")  # noqa: T201
    for replica in replicas:
        assert await replica.stop() == 0

    await recreate(admin)
    again = Feeder(feeder.bus)
    await again.publish(*feeder.published)
    assert again.seqs == feeder.seqs
    await services.start("validate").ready()
    undisturbed = await all_graded(admin, again)
    check_once_and_in_order(undisturbed, again)
    assert gradings(disturbed) == gradings(undisturbed)


async def all_graded_up_to_now(admin: Bus, feeder: Feeder) -> None:
    wanted: dict[Lane, int] = {}
    for frame, seq in zip(list(feeder.published), list(feeder.seqs), strict=False):
        wanted[Lane.from_subject(frame.subject)] = seq
    for lane, last in wanted.items():

        async def reached(lane: Lane = lane, last: int = last) -> bool:
            return await graded_up_to(admin, lane) >= last

        await until(reached, f"lane {lane} to continue", 100)


async def test_a_lane_of_a_killed_owner_continues_when_its_lease_expires(
    services: Services,
    feeder: Feeder,
    admin: Bus,
    record_property: Callable[[str, object], None],
) -> None:
    replicas = [services.start("validate"), services.start("validate")]
    await wait_until_shared(*replicas)
    lane = lane_of("AAPL")
    await feeder.bars("AAPL", range(5))
    await all_graded(admin, feeder)
    holder = await owner(admin, lane)
    victim = next(replica for replica in replicas if replica.instance == holder)
    await victim.kill()
    killed_at = time.monotonic()
    await feeder.bars("AAPL", range(5, 10))
    kept = await all_graded(admin, feeder)
    took_s = time.monotonic() - killed_at
    record_property("take_over_s", round(took_s, 2))
    print(f"take-over after a kill: {took_s:.2f} s")  # noqa: T201
    check_once_and_in_order(kept, feeder)


async def test_a_stopping_replica_hands_over_its_lanes_before_its_leases_expire(
    services: Services,
    feeder: Feeder,
    admin: Bus,
    record_property: Callable[[str, object], None],
) -> None:
    replicas = [services.start("validate"), services.start("validate")]
    await wait_until_shared(*replicas)
    holder = await owner(admin, lane_of("AAPL"))
    stopping = next(replica for replica in replicas if replica.instance == holder)
    assert await stopping.stop() == 0
    stopped_at = time.monotonic()
    await feeder.bars("AAPL", range(5))
    kept = await all_graded(admin, feeder)
    took_s = time.monotonic() - stopped_at
    record_property("take_over_s", round(took_s, 2))
    print(f"take-over after a stop: {took_s:.2f} s")  # noqa: T201
    check_once_and_in_order(kept, feeder)


async def test_a_frozen_owner_that_resumes_after_a_take_over_writes_nothing(
    services: Services, feeder: Feeder, admin: Bus
) -> None:
    replicas = [services.start("validate"), services.start("validate")]
    await wait_until_shared(*replicas)
    lane = lane_of("AAPL")
    minute = iter(range(10_000))
    async with feeder.publishing(raw_frame("AAPL", bars("AAPL", [number])) for number in minute):
        await until(lambda: len(feeder.published) > 50, "frames")
        holder = await owner(admin, lane)
        frozen = next(replica for replica in replicas if replica.instance == holder)
        frozen.send(signal.SIGSTOP)
        stopped_at = len(feeder.published)
        await until(lambda: len(feeder.published) > stopped_at + 20, "frames while it is frozen")
        seq = feeder.seqs[-1]

        async def taken_over() -> bool:
            return await graded_up_to(admin, lane) >= seq

        await until(taken_over, "another owner")
        epochs = [frame.epoch for frame in await stored(admin, GRADED, graded(lane))]
        assert epochs[-1] > epochs[0]
        frozen.send(signal.SIGCONT)
        resumed_at = len(feeder.published)
        await until(lambda: len(feeder.published) > resumed_at + 200, "frames after it resumed")
    kept = await all_graded(admin, feeder)
    check_once_and_in_order(kept, feeder)
    frames = kept[lane]
    first_marker = next(
        place
        for place, frame in enumerate(frames)
        if frame.is_marker and frame.epoch > frames[0].epoch
    )
    old = frames[0].headers[MSG_ID].partition(":")[0]
    after = [frame.headers[MSG_ID].partition(":")[0] for frame in frames[first_marker:]]
    assert after.count(old) == 0
    # Its other lanes have frames too: no frame is written under an ended lease.
    assert all(returned(lane_frames) == [] for lane_frames in kept.values())
    await frozen.ready()


async def test_a_killed_server_loses_no_acknowledged_frame_and_validate_recovers(
    services: Services, feeder: Feeder, admin: Bus, brokers: Brokers
) -> None:
    replicas = [services.start("validate"), services.start("validate")]
    await wait_until_shared(*replicas)
    async with feeder.publishing(some_frames(seed=3)):
        for number in range(3):
            sent = len(feeder.published)
            await until(lambda: len(feeder.published) > sent + 60, "frames before the kill")  # noqa: B023
            await brokers.kill_nats()
            await asyncio.sleep(0.5 * number)
            await brokers.start_nats()
        sent = len(feeder.published)
        await until(lambda: len(feeder.published) > sent + 60, "frames after the last kill")
    raw = await stored(admin, RAW)
    assert [frame.payload for frame in raw] == [frame.payload for frame in feeder.published]
    assert [frame.seq for frame in raw] == feeder.seqs
    kept = await all_graded(admin, feeder)
    check_once_and_in_order(kept, feeder)
    for replica in replicas:
        await replica.ready()


async def test_raw_created_again_while_validate_is_stopped_is_read_from_its_first_frame(
    services: Services, feeder: Feeder, admin: Bus
) -> None:
    await feeder.bars("AAPL", range(5))
    await feeder.bars("AAPL", range(5, 9))
    first = await services.start("validate").ready()
    await all_graded(admin, feeder)
    await first.stop()
    await admin.jetstream.delete_stream(RAW)
    await create(admin)
    again = Feeder(feeder.bus)
    for minute in range(9, 14):
        await again.bars("AAPL", [minute])
    second = await services.start("validate").ready()
    await graded_again(admin, 5)
    assert '"event": "lane.position_invalid"' in second.log
    await until(
        lambda: second.counted("lean_lite_validate_restarted_lanes_total") == 1, "the counter"
    )


async def test_raw_created_again_while_validate_runs_is_read_from_its_first_frame(
    services: Services, feeder: Feeder, admin: Bus
) -> None:
    validate = await services.start("validate").ready()
    for minute in range(9):
        await feeder.bars("AAPL", [minute])
    await all_graded(admin, feeder)
    await admin.jetstream.delete_stream(RAW)
    await create(admin)
    again = Feeder(feeder.bus)
    for minute in range(9, 14):
        await again.bars("AAPL", [minute])
    await graded_again(admin, 5)
    assert '"event": "lane.position_invalid"' in validate.log
    await validate.ready()


async def graded_again(admin: Bus, count: int) -> None:
    """Wait until the newest frames of the lane grade RAW 1 to `count`."""
    lane = lane_of("AAPL")

    async def graded_from_the_start() -> bool:
        frames = await stored(admin, GRADED, graded(lane))
        seqs = [int(frame.headers["Raw-Seq"]) for frame in frames if not frame.is_marker]
        return seqs[-count:] == list(range(1, count + 1))

    await until(graded_from_the_start, "the new stream to be graded")
