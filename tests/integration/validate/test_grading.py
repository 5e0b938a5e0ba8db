"""Validate publishes one GRADED frame per RAW frame, and its bars and watermark live."""

import itertools

import msgspec
import pytest
from nats.aio.msg import Msg

from lean_lite.blocks import decode_block
from lean_lite.bus import Bus
from lean_lite.protocol.headers import ERROR
from lean_lite.protocol.live import LiveBar, Watermark
from lean_lite.protocol.partitions import Lane, lane_of
from lean_lite.protocol.subjects import GRADED, graded
from lean_lite.protocol.subjects import watermark as watermark_subject
from tests.harness.frames import Feeder, bars, marker, raw_frame, some_frames, undecodable
from tests.harness.gradings import all_graded, check_once_and_in_order
from tests.harness.marks import BOTH_BROKERS
from tests.harness.services import Services
from tests.harness.streams import stored
from tests.harness.waiting import until
from tests.integration.conftest import Join

pytestmark = BOTH_BROKERS

FRAMES = 300
INVALID = 0


class Listener:
    """Stand in for a strategy that receives all live messages."""

    def __init__(self) -> None:
        self.bars: list[LiveBar] = []
        self.invalid: list[LiveBar] = []
        self.watermarks: list[tuple[str, Watermark]] = []
        self.order: list[str] = []

    async def on_message(self, message: Msg) -> None:
        self.order.append(message.subject)
        kind = message.subject.split(".")[2]
        if kind == "frame":
            watermark = msgspec.msgpack.decode(message.data, type=Watermark)
            self.watermarks.append((message.subject, watermark))
        else:
            record = msgspec.msgpack.decode(message.data, type=LiveBar)
            (self.invalid if kind == "invalid" else self.bars).append(record)

    def watermarks_of(self, lane: Lane) -> list[Watermark]:
        return [
            watermark
            for subject, watermark in self.watermarks
            if subject == watermark_subject(lane)
        ]


@pytest.fixture
async def listener(join: Join) -> Listener:
    listener = Listener()
    bus = await join("client")
    await bus.subscribe("md.live.>", listener.on_message)
    await bus.flush()
    return listener


async def test_every_raw_frame_gets_exactly_one_graded_frame(
    services: Services, feeder: Feeder, admin: Bus
) -> None:
    frames = some_frames()
    await feeder.publish(*(next(frames) for _ in range(FRAMES)))
    validate = await services.start("validate").ready()
    await feeder.publish(*(next(frames) for _ in range(FRAMES)))
    kept = await all_graded(admin, feeder)
    check_once_and_in_order(kept, feeder)
    by_raw = dict(zip(feeder.seqs, feeder.published, strict=True))
    undecoded = 0
    for frame in (frame for lane in kept.values() for frame in lane if not frame.is_marker):
        sent = by_raw[int(frame.headers["Raw-Seq"])]
        if ERROR in frame.headers:
            undecoded += 1
            assert frame.payload == sent.payload
            continue
        block, raw = decode_block(frame.payload), decode_block(sent.payload)
        assert block.symbol_names == raw.symbol_names
        for name in ("start_ns", "origin", "received_ns", *raw.kind.values):
            assert block[name].tobytes() == raw[name].tobytes()
        assert {"level", "reasons"} <= block.columns.keys()
    assert undecoded > 10
    await until(
        lambda: validate.counted("lean_lite_validate_undecodable_total") == undecoded,
        "the counter of undecodable frames",
    )


async def test_each_frame_is_followed_by_its_bar_and_watermark_in_lane_order(
    services: Services, feeder: Feeder, admin: Bus, listener: Listener
) -> None:
    await services.start("validate").ready()
    for minute in range(40):
        await feeder.bars("AAPL", range(minute, minute + 1))
        await feeder.bars("BTC/USD", range(minute, minute + 1))
    kept = await all_graded(admin, feeder)
    await until(lambda: len(listener.bars) >= 80, "all live bars")
    for symbol in ("AAPL", "BTC/USD"):
        lane = lane_of(symbol)
        frames = [frame for frame in kept[lane] if not frame.is_marker]
        records = [bar for bar in listener.bars if bar.symbol == symbol]
        assert [bar.seq for bar in records] == [frame.seq for frame in frames]
        expected = bars(symbol, range(40))
        assert [bar.start_ns for bar in records] == expected["start_ns"].tolist()
        assert [bar.close for bar in records] == expected["close"].tolist()
        assert {(bar.vwap, bar.trade_count, bar.late) for bar in records} == {(None, None, False)}
        await until(
            lambda: listener.watermarks_of(lane)[-1].seq == frames[-1].seq,  # noqa: B023
            "the last watermark",
        )
        with_rows = [watermark for watermark in listener.watermarks_of(lane) if watermark.rows]
        assert [watermark.seq for watermark in with_rows] == [frame.seq for frame in frames]
        seqs = [frame.seq for frame in kept[lane]]
        assert [watermark.prev_seq for watermark in with_rows] == seqs[:-1]
        assert {tuple(watermark.rows.items()) for watermark in with_rows} == {((symbol, 1),)}


async def test_invalid_bars_are_published_on_a_separate_subject(
    services: Services, feeder: Feeder, admin: Bus, listener: Listener
) -> None:
    await services.start("validate").ready()
    block = bars("AAPL", range(10), invalid=[3, 7])
    await feeder.publish(raw_frame("AAPL", block))
    await feeder.bars("AAPL", range(10, 12))
    await all_graded(admin, feeder)
    await until(lambda: len(listener.bars) + len(listener.invalid) >= 12, "all records")
    starts = block["start_ns"].tolist()
    assert [bar.start_ns for bar in listener.invalid] == [starts[3], starts[7]]
    assert {bar.level for bar in listener.invalid} == {INVALID}
    assert all(bar.reasons for bar in listener.invalid)
    assert not {starts[3], starts[7]} & {bar.start_ns for bar in listener.bars}
    assert len(listener.bars) == 10
    await until(
        lambda: [one for one in listener.watermarks_of(lane_of("AAPL")) if one.rows], "watermarks"
    )
    first = next(
        watermark for watermark in listener.watermarks_of(lane_of("AAPL")) if watermark.rows
    )
    assert first.rows == {"AAPL": 8}


async def test_a_repeated_bar_is_graded_but_not_published_live_again(
    services: Services, feeder: Feeder, admin: Bus, listener: Listener
) -> None:
    await services.start("validate").ready()
    await feeder.bars("AAPL", range(5))
    await feeder.bars("AAPL", range(2, 7))
    kept = await all_graded(admin, feeder)
    await until(lambda: len(listener.bars) >= 7, "each bar once")
    frames = [frame for frame in kept[lane_of("AAPL")] if not frame.is_marker]
    assert [len(decode_block(frame.payload)) for frame in frames] == [5, 5]
    assert [bar.start_ns for bar in listener.bars] == bars("AAPL", range(7))["start_ns"].tolist()


async def test_frames_without_rows_have_watermarks_too(
    services: Services, feeder: Feeder, admin: Bus, listener: Listener
) -> None:
    await services.start("validate").ready()
    await feeder.publish(marker("AAPL"), undecodable("AAPL"), undecodable("AAPL", b""))
    kept = await all_graded(admin, feeder)
    lane = lane_of("AAPL")
    seqs = [frame.seq for frame in kept[lane]]
    await until(
        lambda: [watermark.seq for watermark in listener.watermarks_of(lane)][-1:] == seqs[-1:],
        "watermarks",
    )
    chain = [
        (watermark.prev_seq, watermark.seq)
        for watermark in listener.watermarks_of(lane)
        if watermark.prev_seq
    ]
    assert list(dict.fromkeys(chain)) == list(itertools.pairwise(seqs))
    assert listener.bars == []


async def test_an_idle_lane_repeats_its_watermark(
    services: Services, feeder: Feeder, admin: Bus, listener: Listener
) -> None:
    await services.start("validate", validate={"watermark_every_s": 0.3}).ready()
    await feeder.bars("AAPL", range(3))
    kept = await all_graded(admin, feeder)
    lane, last = lane_of("AAPL"), kept[lane_of("AAPL")][-1].seq
    await until(
        lambda: [watermark.seq for watermark in listener.watermarks_of(lane)].count(last) >= 4,
        "repeated watermarks",
    )
    assert len(await stored(admin, GRADED, graded(lane))) == 2
