"""What GRADED must hold for the RAW frames that were published."""

from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from nats.js.errors import NotFoundError

from lean_lite.bus import Bus
from lean_lite.protocol.headers import PROFILE, RAW_SEQ, RULES, TAIL
from lean_lite.protocol.partitions import Lane
from lean_lite.protocol.subjects import GRADED, graded
from tests.harness.frames import Feeder, RawFrame
from tests.harness.streams import Stored
from tests.harness.streams import graded as graded_frames
from tests.harness.waiting import until

DRAIN_S = 100.0


class Grading(NamedTuple):
    """Parts of a GRADED frame that must not depend on how often its owner changed."""

    raw_seq: int
    tail: str
    rules: str
    profile: str
    payload: bytes


def grading(frame: Stored) -> Grading:
    headers = frame.headers
    return Grading(
        int(headers[RAW_SEQ]), headers[TAIL], headers[RULES], headers[PROFILE], frame.payload
    )


def gradings(frames: dict[Lane, list[Stored]]) -> dict[Lane, list[Grading]]:
    """Return the graded frames of every lane; take-over markers grade nothing."""
    found = {
        lane: [grading(frame) for frame in kept if not frame.is_marker]
        for lane, kept in frames.items()
    }
    return {lane: kept for lane, kept in found.items() if kept}


def raw_seqs(feeder: Feeder) -> dict[Lane, list[int]]:
    """Return which RAW sequences each lane was given."""
    pairs = zip(feeder.published, feeder.seqs, strict=True)
    lanes: dict[Lane, list[int]] = {}
    for frame, seq in pairs:
        lanes.setdefault(lane_of(frame), []).append(seq)
    return lanes


def lane_of(frame: RawFrame) -> Lane:
    return Lane.from_subject(frame.subject)


async def all_graded(admin: Bus, feeder: Feeder) -> dict[Lane, list[Stored]]:
    """Wait until every lane has graded its last RAW frame, and return what GRADED holds."""
    for lane, seqs in raw_seqs(feeder).items():

        async def reached(lane: Lane = lane, last: int = seqs[-1]) -> bool:
            return await graded_up_to(admin, lane) >= last

        await until(reached, f"lane {lane} to grade RAW {seqs[-1]}", DRAIN_S)
    return await graded_frames(admin)


async def graded_up_to(admin: Bus, lane: Lane) -> int:
    try:
        last = await admin.jetstream.get_last_msg(GRADED, graded(lane))
    except NotFoundError:
        return 0
    return int((last.headers or {}).get(RAW_SEQ, 0))


def check_once_and_in_order(frames: dict[Lane, list[Stored]], feeder: Feeder) -> None:
    """Prove one GRADED frame per RAW frame, in order, and no write under an earlier lease."""
    found = {lane: [one.raw_seq for one in kept] for lane, kept in gradings(frames).items()}
    assert found == raw_seqs(feeder)
    for kept in frames.values():
        assert returned(kept) == []


def returned(frames: Sequence[Stored]) -> list[int]:
    """Return the leases under which a lane was written after a later lease had started."""
    epochs = [epoch for epoch, _ in groupby(frame.epoch for frame in frames)]
    return [later for earlier, later in pairwise(epochs) if later < earlier]
