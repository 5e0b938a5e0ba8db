from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from lean_lite.data.live.sequencer import PENDING_FRAMES, Sequencer
from lean_lite.protocol.live import LiveBar, Watermark
from tests.harness.bars import MINUTE_NS, NINE_THIRTY_NS, live_bar

SUBSCRIBED = ("SPY", "AAPL")


class Frame(NamedTuple):
    """A frame of the lane as validate publishes it: records first, then the watermark."""

    watermark: Watermark
    records: tuple[LiveBar, ...]

    @property
    def seq(self) -> int:
        return self.watermark.seq

    @property
    def subscribed(self) -> list[LiveBar]:
        return [record for record in self.records if record.symbol in SUBSCRIBED]


Message = LiveBar | Watermark


def frame(seq: int, prev_seq: int, *symbols: str) -> Frame:
    records = tuple(
        live_bar(symbol=symbol, seq=seq, start_ns=NINE_THIRTY_NS + (seq * 10 + row) * MINUTE_NS)
        for row, symbol in enumerate(symbols)
    )
    rows = {symbol: symbols.count(symbol) for symbol in symbols}
    return Frame(Watermark(seq, prev_seq, rows), records)


def receive(sequencer: Sequencer, *messages: Message) -> None:
    for message in messages:
        if isinstance(message, Watermark):
            sequencer.on_watermark(message)
        else:
            sequencer.on_record(message)


ONE, TWO, THREE = frame(3, 0, "SPY", "SPY"), frame(5, 3, "SPY", "AAPL", "MSFT"), frame(9, 5, "SPY")


def test_a_complete_frame_is_delivered_once() -> None:
    sequencer = Sequencer(SUBSCRIBED, 0)
    receive(sequencer, *ONE.records)
    assert (sequencer.pop_due(), sequencer.missing_seq) == ([], None)
    receive(sequencer, ONE.watermark)
    assert sequencer.pop_due() == list(ONE.records)
    assert (sequencer.pop_due(), sequencer.done_seq, sequencer.missing_seq) == ([], 3, None)


def test_a_watermark_may_come_before_its_records() -> None:
    sequencer = Sequencer(SUBSCRIBED, 0)
    receive(sequencer, ONE.watermark, ONE.records[0])
    assert (sequencer.pop_due(), sequencer.missing_seq) == ([], 3)
    receive(sequencer, ONE.records[1])
    assert (sequencer.pop_due(), sequencer.missing_seq) == (list(ONE.records), None)


def test_records_of_other_symbols_are_neither_awaited_nor_delivered() -> None:
    sequencer = Sequencer(SUBSCRIBED, 3)
    receive(sequencer, *TWO.records, TWO.watermark)
    assert sequencer.pop_due() == TWO.subscribed


def test_a_lost_watermark_is_detected_at_the_next_one() -> None:
    sequencer = Sequencer(SUBSCRIBED, 0)
    receive(sequencer, *ONE.records, *TWO.records, TWO.watermark)
    assert (sequencer.pop_due(), sequencer.missing_seq) == ([], 5)
    assert sequencer.apply_snapshot([*ONE.records, *TWO.subscribed], 5) == [
        *ONE.records,
        *TWO.subscribed,
    ]
    assert (sequencer.pop_due(), sequencer.missing_seq, sequencer.done_seq) == ([], None, 5)


def test_a_duplicate_record_does_not_replace_a_lost_one() -> None:
    sequencer = Sequencer(SUBSCRIBED, 0)
    receive(sequencer, ONE.records[0], ONE.records[0], ONE.watermark)
    assert (sequencer.pop_due(), sequencer.missing_seq) == ([], 3)
    assert sequencer.apply_snapshot(ONE.records, 3) == list(ONE.records)


def test_a_duplicate_record_is_delivered_once() -> None:
    sequencer = Sequencer(SUBSCRIBED, 0)
    receive(sequencer, *ONE.records, *ONE.records, ONE.watermark, ONE.watermark)
    assert sequencer.pop_due() == list(ONE.records)


def test_messages_of_a_delivered_frame_are_dropped() -> None:
    sequencer = Sequencer(SUBSCRIBED, 3)
    receive(sequencer, *ONE.records, ONE.watermark)
    assert (sequencer.pop_due(), sequencer.missing_seq, sequencer.done_seq) == ([], None, 3)


def test_the_repeated_watermark_of_an_idle_lane_needs_no_fetch() -> None:
    sequencer = Sequencer(SUBSCRIBED, 0)
    receive(sequencer, *ONE.records, ONE.watermark)
    sequencer.pop_due()
    receive(sequencer, ONE.watermark)
    assert sequencer.missing_seq is None


def test_delivery_continues_after_a_snapshot() -> None:
    sequencer = Sequencer(SUBSCRIBED, 0)
    receive(sequencer, TWO.watermark, *THREE.records, THREE.watermark)
    everything = [*ONE.records, *TWO.subscribed, *THREE.records]
    assert sequencer.apply_snapshot(reversed(everything), 9) == everything
    assert (sequencer.pop_due(), sequencer.missing_seq) == ([], None)


def test_an_old_snapshot_is_not_delivered_again() -> None:
    sequencer = Sequencer(SUBSCRIBED, 5)
    assert sequencer.apply_snapshot([*ONE.records, *TWO.subscribed], 3) == []
    assert sequencer.done_seq == 5


def test_pending_frames_are_bounded_and_the_oldest_are_kept() -> None:
    count = PENDING_FRAMES + 100
    frames = [frame(seq, seq - 1, "SPY") for seq in range(1, count + 1)]
    sequencer = Sequencer(SUBSCRIBED, 0)
    for each in reversed(frames[1:]):
        receive(sequencer, *each.records, each.watermark)
    assert sequencer.missing_seq == 2
    receive(sequencer, *frames[0].records, frames[0].watermark)
    assert [record.seq for record in sequencer.pop_due()] == list(range(1, PENDING_FRAMES + 1))
    receive(sequencer, frames[-1].watermark)
    assert sequencer.missing_seq == count


def test_all_records_of_a_full_socket_may_come_before_their_watermarks() -> None:
    frames = [frame(seq, seq - 1, "SPY") for seq in range(1, 2_001)]
    sequencer = Sequencer(SUBSCRIBED, 0)
    receive(sequencer, *[record for each in frames for record in each.records])
    receive(sequencer, *[each.watermark for each in frames])
    assert [record.seq for record in sequencer.pop_due()] == list(range(1, 2_001))
    assert sequencer.missing_seq is None


@st.composite
def lanes(draw: st.DrawFn) -> list[Frame]:
    """Frames of a lane; the sequences between them belong to other lanes."""
    frames: list[Frame] = []
    prev_seq = 0
    for _ in range(draw(st.integers(1, 10))):
        seq = prev_seq + draw(st.integers(1, 3))
        symbols = draw(st.lists(st.sampled_from(["SPY", "AAPL", "MSFT"]), max_size=4))
        frames.append(frame(seq, prev_seq, *symbols))
        prev_seq = seq
    return frames


@st.composite
def deliveries(draw: st.DrawFn, frames: Sequence[Frame]) -> list[Message]:
    """Messages of a lane as core NATS may deliver them: lost, duplicated and reordered."""
    sent: list[Message] = []
    for each in frames:
        sent += [*each.records, each.watermark]
    copies = draw(
        st.lists(st.sampled_from([0, 1, 1, 1, 2]), min_size=len(sent), max_size=len(sent))
    )
    arrived = [message for message, times in zip(sent, copies, strict=True) for _ in range(times)]
    match draw(st.sampled_from(["as sent", "nearly", "shuffled"])):
        case "nearly":
            shifts = st.lists(st.integers(0, 6), min_size=len(arrived), max_size=len(arrived))
            order = [index + shift for index, shift in enumerate(draw(shifts))]
            arrived = [arrived[index] for index in sorted(range(len(order)), key=order.__getitem__)]
        case "shuffled":
            arrived = draw(st.permutations(arrived))
    return arrived


class Reader:
    """Reads a lane like `Live`, with a store that has all frames up to a drawn sequence."""

    def __init__(self, frames: Sequence[Frame], done_seq: int, data: st.DataObject) -> None:
        self.sequencer = Sequencer(SUBSCRIBED, done_seq)
        self.delivered: list[LiveBar] = []
        self._frames = frames
        self._data = data
        self._snapshot: tuple[list[LiveBar], int] | None = None

    def on_message(self, message: Message) -> None:
        receive(self.sequencer, message)
        if self._snapshot is not None and self._data.draw(st.booleans(), "the snapshot arrives"):
            self.apply_snapshot()
        self.advance()

    def advance(self) -> None:
        self.delivered += self.sequencer.pop_due()
        may_fetch = self._snapshot is None and self.sequencer.missing_seq is not None
        if may_fetch and self._data.draw(st.booleans(), "fetch now"):
            self.fetch()

    def fetch(self) -> None:
        missing_seq, done_seq = self.sequencer.missing_seq, self.sequencer.done_seq
        assert missing_seq is not None
        possible = [each.seq for each in self._frames if each.seq >= missing_seq]
        through_seq = self._data.draw(st.sampled_from(possible), "the store is at")
        stored = [each for each in self._frames if done_seq < each.seq <= through_seq]
        records = [record for each in stored for record in each.subscribed]
        self._snapshot = (self._data.draw(st.permutations(records)), through_seq)

    def apply_snapshot(self) -> None:
        assert self._snapshot is not None
        self.delivered += self.sequencer.apply_snapshot(*self._snapshot)
        self._snapshot = None

    def finish(self) -> None:
        if self._snapshot is not None:
            self.apply_snapshot()
        self.delivered += self.sequencer.pop_due()
        while self.sequencer.missing_seq is not None:
            self.fetch()
            self.apply_snapshot()
            self.delivered += self.sequencer.pop_due()


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_every_bar_is_delivered_once_and_in_the_order_of_frames(data: st.DataObject) -> None:
    frames = data.draw(lanes())
    start = data.draw(st.sampled_from([0, *(each.seq for each in frames)]), "done")
    reader = Reader(frames, start, data)
    for message in data.draw(deliveries(frames)):
        reader.on_message(message)
    reader.on_message(frames[-1].watermark)  # an idle lane repeats its watermark
    reader.finish()
    expected = [record for each in frames if each.seq > start for record in each.subscribed]
    assert sorted(reader.delivered, key=lambda r: (r.seq, r.start_ns)) == expected
    assert all(one.seq <= other.seq for one, other in pairwise(reader.delivered))
    assert reader.sequencer.done_seq == max(start, frames[-1].seq)
