"""A fenced subject has one writer at a time, and stores every frame once."""

import time

import pytest

from lean_lite.bus import Bus, FencedPublisher, Lease
from lean_lite.errors import BusError, Fenced, LeaseLost
from lean_lite.protocol.headers import COMPLETE, EXPECTED_LAST, MARKER, MSG_ID
from lean_lite.protocol.subjects import RAW
from tests.harness.marks import BOTH_BROKERS
from tests.harness.relay import Relay
from tests.harness.streams import stored
from tests.integration.conftest import Join

pytestmark = BOTH_BROKERS

SUBJECT = "md.raw.iex.equity.3"
OTHER = "md.raw.iex.equity.4"


def lease(epoch: int, ttl_s: float = 3600.0) -> Lease:
    return Lease("ingest.alpaca", epoch, ttl_s, requested_at=time.monotonic())


def fenced(bus: Bus, epoch: int) -> FencedPublisher:
    return FencedPublisher(bus, RAW, SUBJECT, lease(epoch))


async def test_frames_follow_the_marker_in_the_order_they_were_published(
    join: Join, admin: Bus
) -> None:
    bus = await join("ingest")
    owner = fenced(bus, 7)
    before = await owner.take_over(b"marker")
    assert (before.seq, before.payload) == (0, b"")
    seqs = []
    for number in range(20):
        await bus.jetstream.publish(OTHER, b"another lane's")
        seqs.append(await owner.publish(b"frame %d" % number, {"Number": str(number)}))
    frames = await stored(admin, RAW, SUBJECT)
    assert [frame.payload for frame in frames] == [
        b"marker",
        *(b"frame %d" % n for n in range(20)),
    ]
    assert [frame.seq for frame in frames[1:]] == seqs
    assert frames[0].headers[MARKER] == "1"
    assert owner.last_seq == seqs[-1]
    assert len({frame.headers[MSG_ID] for frame in frames}) == 21
    expected = [int(frame.headers[EXPECTED_LAST]) for frame in frames]
    assert expected == [0, *(frame.seq for frame in frames[:-1])]


async def test_the_next_owner_reads_the_last_frame_and_keeps_the_named_headers(
    join: Join, admin: Bus
) -> None:
    first = fenced(await join("ingest"), 1)
    await first.take_over(b"")
    seq = await first.publish(b"last", {COMPLETE: "42", "Other": "x"})
    second = fenced(await join("ingest"), 2)
    last = await second.take_over(b"", keep=(COMPLETE, "Missing"))
    assert (last.seq, last.payload, last.headers[COMPLETE]) == (seq, b"last", "42")
    marker = (await stored(admin, RAW, SUBJECT))[-1]
    assert (marker.headers[COMPLETE], marker.is_marker) == ("42", True)
    assert not {"Other", "Missing"} & marker.headers.keys()
    third = fenced(await join("ingest"), 3)
    assert (await third.take_over(b"", keep=(COMPLETE,))).headers[COMPLETE] == "42"


@pytest.mark.parametrize("break_connection", [False, True])
async def test_a_frame_whose_acknowledgement_is_lost_is_stored_once(
    break_connection: bool,  # noqa: FBT001
    join: Join,
    admin: Bus,
    relay: Relay,
) -> None:
    def acknowledgement(subject: str, payload: bytes) -> bool:
        if not payload.startswith(b'{"stream":"RAW"') or relay.lost:
            return False
        if break_connection:
            relay.cut()
        return True

    bus = await join("ingest", url=relay.url, request_timeout_s=1.0)
    owner = fenced(bus, 1)
    await owner.take_over(b"marker")
    for number in range(3):
        relay.lost.clear()
        relay.lose = acknowledgement
        seq = await owner.publish(b"lost %d" % number, {})
        assert relay.lost
        assert seq == owner.last_seq == number + 2
    await owner.publish(b"next", {})
    frames = await stored(admin, RAW, SUBJECT)
    assert [frame.payload for frame in frames] == [
        b"marker",
        b"lost 0",
        b"lost 1",
        b"lost 2",
        b"next",
    ]


async def test_a_marker_whose_acknowledgement_is_lost_is_written_once(
    join: Join, admin: Bus, relay: Relay
) -> None:
    bus = await join("ingest", url=relay.url, request_timeout_s=1.0)
    relay.lose = lambda _, payload: not relay.lost and payload.startswith(b'{"stream":"RAW"')
    owner = fenced(bus, 1)
    await owner.take_over(b"marker")
    assert relay.lost
    await owner.publish(b"frame", {})
    assert [f.payload for f in await stored(admin, RAW, SUBJECT)] == [b"marker", b"frame"]


async def test_publish_raises_fenced_after_a_write_of_another_owner(join: Join, admin: Bus) -> None:
    owner = fenced(await join("ingest"), 1)
    await owner.take_over(b"")
    await owner.publish(b"ours", {})
    foreign = await admin.jetstream.publish(SUBJECT, b"theirs")
    with pytest.raises(Fenced) as caught:
        await owner.publish(b"too late", {})
    assert caught.value.subject == SUBJECT
    assert (caught.value.expected_seq, caught.value.found_seq) == (2, foreign.seq)
    assert [f.payload for f in await stored(admin, RAW, SUBJECT)] == [b"", b"ours", b"theirs"]


async def test_a_stale_owner_with_an_unexpired_lease_can_not_publish(
    join: Join, admin: Bus
) -> None:
    stale = fenced(await join("ingest"), 1)
    await stale.take_over(b"")
    await stale.publish(b"old", {})
    owner = fenced(await join("ingest"), 2)
    await owner.take_over(b"marker")
    for number in range(5):
        with pytest.raises(Fenced):
            await stale.publish(b"stale", {})
        await owner.publish(b"new %d" % number, {})
    payloads = [frame.payload for frame in await stored(admin, RAW, SUBJECT)]
    assert payloads == [b"", b"old", b"marker", *(b"new %d" % n for n in range(5))]


async def test_a_stale_owner_is_fenced_when_the_first_refusal_is_lost(
    join: Join, admin: Bus, relay: Relay
) -> None:
    stale_bus = await join("ingest", url=relay.url, request_timeout_s=1.0)
    stale = fenced(stale_bus, 1)
    await stale.take_over(b"")
    owner = fenced(await join("ingest"), 2)
    await owner.take_over(b"marker")
    # The refusal itself is lost, so the stale owner publishes twice.
    relay.lose = lambda _, payload: not relay.lost and b"10071" in payload
    with pytest.raises(Fenced):
        await stale.publish(b"stale", {})
    assert relay.lost
    assert [f.payload for f in await stored(admin, RAW, SUBJECT)] == [b"", b"marker"]


async def test_nothing_is_published_after_the_lease_has_expired(join: Join, admin: Bus) -> None:
    bus = await join("ingest")
    short = lease(1)
    owner = FencedPublisher(bus, RAW, SUBJECT, short)
    await owner.take_over(b"marker")
    short.invalidate()
    with pytest.raises(LeaseLost, match=r"ingest\.alpaca"):
        await owner.publish(b"late", {})
    with pytest.raises(LeaseLost):
        await owner.take_over(b"late")
    assert [f.payload for f in await stored(admin, RAW, SUBJECT)] == [b"marker"]


async def test_a_disconnected_owner_gives_up_when_its_lease_expires(
    join: Join, admin: Bus, relay: Relay
) -> None:
    bus = await join("ingest", url=relay.url, request_timeout_s=0.3)
    owner = FencedPublisher(bus, RAW, SUBJECT, lease(1, ttl_s=2.0))
    await owner.take_over(b"marker")
    await relay.close()
    with pytest.raises(LeaseLost):
        await owner.publish(b"late", {})
    assert [f.payload for f in await stored(admin, RAW, SUBJECT)] == [b"marker"]


async def test_a_frame_above_max_payload_is_refused_and_the_next_one_is_stored(
    join: Join, admin: Bus
) -> None:
    owner = FencedPublisher(await join("ingest"), RAW, SUBJECT, lease(1))
    await owner.take_over(b"marker")
    # The headers count as well.
    with pytest.raises(BusError, match="max_payload"):
        await owner.publish(bytes(2**20 - 50), {})
    await owner.publish(b"next", {})
    assert [f.payload for f in await stored(admin, RAW, SUBJECT)] == [b"marker", b"next"]
