from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from lean_lite.data.live.sequencer import PENDING_FRAMES, Sequencer
from lean_lite.protocol.live import LiveBar, Watermark
from tests.harness.bars import MINUTE_NS, NINE_THIRTY_NS, live_bar

FOLLOWED = ("SPY", "AAPL")


class Frame(NamedTuple):
    """Hold a frame of the lane as validate publishes it: records first, then the head."""

    head: Watermark
    records: tuple[LiveBar, ...]

    @property
    def seq(self) -> int:
        return self.head.seq

    @property
    def wanted(self) -> list[LiveBar]:
        return [record for record in self.records if record.symbol in FOLLOWED]


Message = LiveBar | Watermark


def frame(seq: int, prev_seq: int, *symbols: str) -> Frame:
    records = tuple(
        live_bar(symbol=symbol, seq=seq, start_ns=NINE_THIRTY_NS + (seq * 10 + row) * MINUTE_NS)
        for row, symbol in enumerate(symbols)
    )
    rows = {symbol: symbols.count(symbol) for symbol in symbols}
    return Frame(Watermark(seq, prev_seq, rows), records)


def give(sequel: Sequencer, *messages: Message) -> None:
    for message in messages:
        if isinstance(message, Watermark):
            sequel.on_watermark(message)
        else:
            sequel.on_record(message)


ONE, TWO, THREE = frame(3, 0, "SPY", "SPY"), frame(5, 3, "SPY", "AAPL", "MSFT"), frame(9, 5, "SPY")


def test_a_whole_frame_is_delivered_once() -> None:
    sequel = Sequencer(FOLLOWED, 0)
    give(sequel, *ONE.records)
    assert (sequel.take(), sequel.missing_seq) == ([], None)
    give(sequel, ONE.head)
    assert sequel.take() == list(ONE.records)
    assert (sequel.take(), sequel.done_seq, sequel.missing_seq) == ([], 3, None)


def test_a_head_may_come_before_its_records() -> None:
    sequel = Sequencer(FOLLOWED, 0)
    give(sequel, ONE.head, ONE.records[0])
    assert (sequel.take(), sequel.missing_seq) == ([], 3)
    give(sequel, ONE.records[1])
    assert (sequel.take(), sequel.missing_seq) == (list(ONE.records), None)


def test_records_of_other_symbols_are_neither_awaited_nor_delivered() -> None:
    sequel = Sequencer(FOLLOWED, 3)
    give(sequel, *TWO.records, TWO.head)
    assert sequel.take() == TWO.wanted


def test_a_lost_head_is_missed_at_the_next_one() -> None:
    sequel = Sequencer(FOLLOWED, 0)
    give(sequel, *ONE.records, *TWO.records, TWO.head)
    assert (sequel.take(), sequel.missing_seq) == ([], 5)
    assert sequel.apply_snapshot([*ONE.records, *TWO.wanted], 5) == [*ONE.records, *TWO.wanted]
    assert (sequel.take(), sequel.missing_seq, sequel.done_seq) == ([], None, 5)


def test_a_record_that_comes_twice_does_not_stand_in_for_a_lost_one() -> None:
    sequel = Sequencer(FOLLOWED, 0)
    give(sequel, ONE.records[0], ONE.records[0], ONE.head)
    assert (sequel.take(), sequel.missing_seq) == ([], 3)
    assert sequel.apply_snapshot(ONE.records, 3) == list(ONE.records)


def test_a_record_that_comes_twice_is_delivered_once() -> None:
    sequel = Sequencer(FOLLOWED, 0)
    give(sequel, *ONE.records, *ONE.records, ONE.head, ONE.head)
    assert sequel.take() == list(ONE.records)


def test_what_comes_after_its_delivery_is_dropped() -> None:
    sequel = Sequencer(FOLLOWED, 3)
    give(sequel, *ONE.records, ONE.head)
    assert (sequel.take(), sequel.missing_seq, sequel.done_seq) == ([], None, 3)


def test_a_head_that_repeats_its_rows_while_idle_asks_for_nothing() -> None:
    sequel = Sequencer(FOLLOWED, 0)
    give(sequel, *ONE.records, ONE.head)
    sequel.take()
    give(sequel, ONE.head)
    assert sequel.missing_seq is None


def test_an_answer_goes_on_behind_its_snapshot() -> None:
    sequel = Sequencer(FOLLOWED, 0)
    give(sequel, TWO.head, *THREE.records, THREE.head)
    everything = [*ONE.records, *TWO.wanted, *THREE.records]
    assert sequel.apply_snapshot(reversed(everything), 9) == everything
    assert (sequel.take(), sequel.missing_seq) == ([], None)


def test_an_answer_does_not_lead_back() -> None:
    sequel = Sequencer(FOLLOWED, 5)
    assert sequel.apply_snapshot([*ONE.records, *TWO.wanted], 3) == []
    assert sequel.done_seq == 5


def test_what_waits_is_bounded_and_the_oldest_frames_stay() -> None:
    count = PENDING_FRAMES + 100
    frames = [frame(seq, seq - 1, "SPY") for seq in range(1, count + 1)]
    sequel = Sequencer(FOLLOWED, 0)
    for each in reversed(frames[1:]):
        give(sequel, *each.records, each.head)
    assert sequel.missing_seq == 2
    give(sequel, *frames[0].records, frames[0].head)
    assert [record.seq for record in sequel.take()] == list(range(1, PENDING_FRAMES + 1))
    give(sequel, frames[-1].head)
    assert sequel.missing_seq == count


def test_all_records_of_a_full_socket_may_come_before_their_heads() -> None:
    frames = [frame(seq, seq - 1, "SPY") for seq in range(1, 2_001)]
    sequel = Sequencer(FOLLOWED, 0)
    give(sequel, *[record for each in frames for record in each.records])
    give(sequel, *[each.head for each in frames])
    assert [record.seq for record in sequel.take()] == list(range(1, 2_001))
    assert sequel.missing_seq is None


@st.composite
def lanes(draw: st.DrawFn) -> list[Frame]:
    """Return the frames of a lane; other lanes have the sequences between."""
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
    """Return what core NATS makes of a lane: messages lost, repeated and in disorder."""
    sent: list[Message] = []
    for each in frames:
        sent += [*each.records, each.head]
    fates = draw(st.lists(st.sampled_from([0, 1, 1, 1, 2]), min_size=len(sent), max_size=len(sent)))
    arrived = [message for message, times in zip(sent, fates, strict=True) for _ in range(times)]
    match draw(st.sampled_from(["as sent", "nearly", "shuffled"])):
        case "nearly":
            shifts = st.lists(st.integers(0, 6), min_size=len(arrived), max_size=len(arrived))
            order = [place + shift for place, shift in enumerate(draw(shifts))]
            arrived = [arrived[place] for place in sorted(range(len(order)), key=order.__getitem__)]
        case "shuffled":
            arrived = draw(st.permutations(arrived))
    return arrived


class Reader:
    """Follow a lane as `Live` does, with a store that has every frame up to some point."""

    def __init__(self, frames: Sequence[Frame], done_seq: int, data: st.DataObject) -> None:
        self.sequel = Sequencer(FOLLOWED, done_seq)
        self.delivered: list[LiveBar] = []
        self._frames = frames
        self._data = data
        self._answer: tuple[list[LiveBar], int] | None = None

    def on_message(self, message: Message) -> None:
        give(self.sequel, message)
        if self._answer is not None and self._data.draw(st.booleans(), "the answer is here"):
            self.take_answer()
        self.advance()

    def advance(self) -> None:
        self.delivered += self.sequel.take()
        may_ask = self._answer is None and self.sequel.missing_seq is not None
        if may_ask and self._data.draw(st.booleans(), "ask now"):
            self.ask()

    def ask(self) -> None:
        missing_seq, done_seq = self.sequel.missing_seq, self.sequel.done_seq
        assert missing_seq is not None
        reached = [each.seq for each in self._frames if each.seq >= missing_seq]
        through_seq = self._data.draw(st.sampled_from(reached), "the store has come to")
        kept = [each for each in self._frames if done_seq < each.seq <= through_seq]
        records = [record for each in kept for record in each.wanted]
        self._answer = (self._data.draw(st.permutations(records)), through_seq)

    def take_answer(self) -> None:
        assert self._answer is not None
        self.delivered += self.sequel.apply_snapshot(*self._answer)
        self._answer = None

    def finish(self) -> None:
        if self._answer is not None:
            self.take_answer()
        self.delivered += self.sequel.take()
        while self.sequel.missing_seq is not None:
            self.ask()
            self.take_answer()
            self.delivered += self.sequel.take()


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_every_bar_is_delivered_once_and_in_the_order_of_frames(data: st.DataObject) -> None:
    frames = data.draw(lanes())
    start = data.draw(st.sampled_from([0, *(each.seq for each in frames)]), "done")
    reader = Reader(frames, start, data)
    for message in data.draw(deliveries(frames)):
        reader.on_message(message)
    reader.on_message(frames[-1].head)  # an idle lane repeats its head
    reader.finish()
    expected = [record for each in frames if each.seq > start for record in each.wanted]
    assert sorted(reader.delivered, key=lambda r: (r.seq, r.start_ns)) == expected
    assert all(one.seq <= other.seq for one, other in pairwise(reader.delivered))
    assert reader.sequel.done_seq == max(start, frames[-1].seq)
