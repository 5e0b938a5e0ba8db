from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_lite.blocks import Block, decode_block, encode_block
from lean_lite.quality import Check, GradedBlock, Grader, failed_checks
from tests.harness.bars import MINUTE_NS, NINE_THIRTY_NS, Row, block_of

Frames = dict[int, Block]
SPY = Row().flat(100.0)


def reasons(grader: Grader, seq: int, *rows: Row) -> list[list[Check]]:
    graded = grader.grade(seq, block_of(rows)).block
    return [failed_checks(mask) for mask in graded["reasons"].tolist()]


def test_s01_an_unchanged_bar_is_marked_as_a_repeat() -> None:
    grader = Grader("equity")
    assert reasons(grader, 1, Row()) == [[]]
    assert reasons(grader, 2, Row(), Row().at(1)) == [[Check.S01_REPEATED], []]


def test_s01_a_repeat_within_one_frame_is_marked() -> None:
    assert reasons(Grader("equity"), 1, Row(), Row()) == [[], [Check.S01_REPEATED]]


def test_s01_a_repeat_keeps_its_grade() -> None:
    grader = Grader("equity")
    early = Row(received_ns=NINE_THIRTY_NS)
    levels = [grader.grade(seq, block_of([early])).block["level"].tolist() for seq in range(1, 3)]
    assert levels == [[1], [1]]


@pytest.mark.parametrize(
    "other",
    [
        Row("AAPL"),
        Row().at(1),
        Row(volume=1_001.0),
        Row(trade_count=11),
        Row(vwap=float("nan")),
    ],
)
def test_s01_other_bars_are_not_repeats(other: Row) -> None:
    grader = Grader("equity")
    assert reasons(grader, 1, Row()) == [[]]
    assert reasons(grader, 2, other) == [[]]


def test_s01_time_of_receipt_and_origin_do_not_matter() -> None:
    grader = Grader("equity")
    reasons(grader, 1, Row())
    later = Row(received_ns=NINE_THIRTY_NS + 5 * MINUTE_NS, origin=2)
    assert reasons(grader, 2, later) == [[Check.S01_REPEATED]]


def test_s01_the_same_bar_of_another_feed_is_not_a_repeat() -> None:
    grader = Grader("equity")
    grader.grade(1, block_of([Row()], feed="iex"))
    assert grader.grade(2, block_of([Row()], feed="sip")).block["reasons"].tolist() == [0]


def test_s01_a_revision_replaces_the_first_version() -> None:
    grader = Grader("equity")
    revised = Row(volume=2_000.0)
    assert reasons(grader, 1, Row(), revised, revised) == [[], [], [Check.S01_REPEATED]]
    assert reasons(grader, 2, Row()) == [[]]


def test_s01_bars_leave_the_window_after_120_minutes() -> None:
    for minutes, in_window in ((120, True), (121, False)):
        grader = Grader("equity")
        reasons(grader, 1, Row())
        reasons(grader, 2, Row().at(minutes))
        assert reasons(grader, 3, Row()) == [[Check.S01_REPEATED] if in_window else []]


def test_s01_an_invalid_bar_does_not_enter_the_window() -> None:
    grader = Grader("equity")
    bad = Row(low=0.0)
    assert reasons(grader, 1, bad, bad) == [[Check.B03_PRICE]] * 2
    future = Row().at(10_000)._replace(received_ns=NINE_THIRTY_NS)
    reasons(grader, 2, Row(), future)
    assert reasons(grader, 3, Row()) == [[Check.S01_REPEATED]]


def test_b06_a_flat_bar_without_volume_at_another_price_is_a_spike() -> None:
    grader = Grader("equity")
    reasons(grader, 1, Row(close=100.5))
    zero = Check.B05_ZERO_VOLUME
    assert reasons(grader, 2, SPY.at(1)) == [[Check.B04_COUNT, zero, Check.B06_FLAT_SPIKE]]


@pytest.mark.parametrize(
    "bar",
    [
        Row().flat(100.5),  # at the previous close
        Row().flat(100.0, volume=10.0),
        Row(open=100.0, high=100.0, low=99.0, close=100.0, volume=0.0),
        Row("AAPL").flat(100.0),  # another symbol
    ],
)
def test_b06_other_bars_are_not_spikes(bar: Row) -> None:
    grader = Grader("equity")
    reasons(grader, 1, Row(close=100.5))
    assert Check.B06_FLAT_SPIKE not in reasons(grader, 2, bar.at(1))[0]


def test_b06_the_first_bar_of_a_symbol_is_not_a_spike() -> None:
    assert Check.B06_FLAT_SPIKE not in reasons(Grader("equity"), 1, SPY)[0]


def test_b06_a_late_bar_is_compared_with_its_own_predecessor() -> None:
    grader = Grader("equity")
    reasons(grader, 1, Row(close=100.0), Row().at(2))
    assert Check.B06_FLAT_SPIKE not in reasons(grader, 2, SPY.at(1))[0]


def test_b06_does_not_apply_to_crypto() -> None:
    grader = Grader("crypto")
    assert reasons(grader, 1, Row("BTC/USD"), Row("BTC/USD").flat(100.0).at(1)) == [[], []]


@pytest.mark.parametrize("asset_class", ["equity", "crypto", "forex"])
@pytest.mark.parametrize(
    ("price", "expected"),
    [(150.0, []), (151.0, [Check.S08_STEP]), (50.0, []), (49.0, [Check.S08_STEP])],
)
def test_s08_a_price_far_from_the_previous_one_is_a_step(
    asset_class: str, price: float, expected: list[Check]
) -> None:
    grader = Grader(asset_class)
    bar = Row().flat(100.0, volume=1_000.0)
    later = Row().at(120).flat(price, volume=1_000.0)
    assert reasons(grader, 1, bar, later) == [[], expected]
    assert grader.grade(2, block_of([later.at(121)])).block["level"].tolist() == [4]


def test_s08_a_bar_before_the_window_is_not_compared() -> None:
    grader = Grader("equity")
    far = Row().at(121).flat(500.0, volume=1_000.0)
    assert reasons(grader, 1, Row(), far) == [[], []]


def test_the_tail_is_the_oldest_frame_of_the_window() -> None:
    grader = Grader("equity")
    starts = {3: 0, 8: 100, 9: 121, 20: 400}
    tails = {
        seq: grader.grade(seq, block_of([Row().at(minute)])).tail for seq, minute in starts.items()
    }
    assert tails == {3: 3, 8: 3, 9: 8, 20: 20}


def test_a_frame_without_valid_rows_has_the_tail_of_the_window() -> None:
    grader = Grader("equity")
    assert grader.tail(5) == 5
    assert grader.grade(6, block_of([])).tail == 6
    grader.grade(7, block_of([Row()]))
    assert grader.tail(9) == 7
    assert grader.grade(10, block_of([Row(low=0.0)])).tail == 7


def test_a_very_old_bar_leaves_the_window_with_the_next_one() -> None:
    grader = Grader("equity")
    ancient = Row(start_ns=-(10**18))
    assert grader.grade(1, block_of([ancient])).block["level"].tolist() == [4]
    assert grader.grade(2, block_of([Row()])).tail == 2


def test_grading_does_not_change_its_input() -> None:
    block = decode_block(encode_block(block_of([Row(), Row()])))
    graded = Grader("equity").grade(1, block).block
    assert "level" not in block.columns
    for name, column in block.columns.items():
        assert np.shares_memory(column, graded[name])


MINUTES = st.one_of(
    st.integers(-3, 3),  # near the newest bar
    st.integers(-150, -1),  # late, at times too late for the window
    st.sampled_from([60, 119, 120, 121, 180, 600]),  # a jump of hours
)
PRICES = st.sampled_from([100.0, 101.0, 160.0])  # the last one is a step


@st.composite
def rows(draw: st.DrawFn, now: int, symbols: str) -> Row:
    row = Row(draw(st.sampled_from(symbols)), close=draw(PRICES)).at(now + draw(MINUTES))
    kind = draw(st.sampled_from(["good", "good", "flat", "invalid", "early"]))
    match kind:
        case "flat":
            return row.flat(draw(PRICES))
        case "invalid":
            return row._replace(low=0.0)
        case "early":
            return row._replace(received_ns=row.start_ns + draw(st.integers(-3, 60)) * 10**9)
        case _:
            return row


@st.composite
def histories(draw: st.DrawFn) -> Frames:
    """Return frames of a lane: late bars, repeated frames, jumps in time, empty frames."""
    symbols = draw(st.sampled_from(["A", "AB", "ABC"]))
    frames: Frames = {}
    now, seq = 0, 0
    for _ in range(draw(st.integers(1, 14))):
        seq += draw(st.integers(1, 3))  # other lanes have the sequences between
        now += draw(st.sampled_from([0, 1, 1, 1, 40, 121, 300]))
        if frames and draw(st.integers(0, 3)) == 0:
            frames[seq] = draw(st.sampled_from(list(frames.values())))
            continue
        frame = draw(st.lists(rows(now, symbols), max_size=5))
        frames[seq] = block_of(frame, feed=draw(st.sampled_from(["iex", "iex", "sip"])))
    return frames


def graded(frames: Frames, asset_class: str, start: int = 0) -> dict[int, GradedBlock]:
    grader = Grader(asset_class)
    return {seq: grader.grade(seq, block) for seq, block in frames.items() if seq >= start}


@settings(max_examples=400, deadline=None)
@given(histories(), st.sampled_from(["equity", "crypto"]))
def test_a_grader_rebuilt_from_the_tail_continues_with_equal_bytes(
    frames: Frames, asset_class: str
) -> None:
    original = graded(frames, asset_class)
    for at, grade in original.items():
        rebuilt = graded(frames, asset_class, start=grade.tail)
        for seq in (seq for seq in frames if seq > at):
            assert encode_block(rebuilt[seq].block) == encode_block(original[seq].block)
            assert rebuilt[seq].tail == original[seq].tail


@settings(deadline=None)
@given(histories())
def test_the_tail_never_goes_back(frames: Frames) -> None:
    tails = [grade.tail for grade in graded(frames, "equity").values()]
    assert all(earlier <= later for earlier, later in pairwise(tails))


def test_a_grader_rebuilt_in_a_crowded_window_continues_with_equal_bytes() -> None:
    # More bars of one symbol than the window holds before it removes old ones.
    frames = {
        seq: block_of([Row().at(minute) for minute in range(seq * 30, seq * 30 + 60)])
        for seq in range(1, 30)
    }
    original = graded(frames, "equity")
    for at in frames:
        rebuilt = graded(frames, "equity", start=original[at].tail)
        for seq in range(at + 1, 30):
            assert encode_block(rebuilt[seq].block) == encode_block(original[seq].block)
