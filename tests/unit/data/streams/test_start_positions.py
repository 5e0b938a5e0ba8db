from hypothesis import given
from hypothesis import strategies as st

from lean_lite.blocks import Origin
from lean_lite.data.streams.start_positions import LiveStart, StartPositions, lane_name
from lean_lite.protocol.bookmark import Bookmark, StartPosition
from tests.harness.bars import MINUTE_NS, NINE_THIRTY_NS, live_bar

# Three symbols of one lane, and one of another.
SYMBOLS = ("EUR/USD", "CAD/USD", "JPY/SEK", "GBP/USD")
LANES = {lane_name(symbol) for symbol in SYMBOLS}
SINCE = st.sampled_from([None, NINE_THIRTY_NS])
some_symbols = st.sets(st.sampled_from(SYMBOLS), min_size=1)
frames = st.integers(0, 40)


def test_the_symbols_share_lanes() -> None:
    assert len(LANES) == 2


def test_symbols_without_a_bookmark_start_where_they_join() -> None:
    positions = StartPositions(["SPY", "SPY"], NINE_THIRTY_NS)
    assert [*positions.new] == ["SPY"]
    positions.join({lane_name("SPY"): 7})
    assert [*positions.new] == []
    assert not positions.includes(live_bar(seq=7))
    assert positions.includes(live_bar(seq=8))
    assert not positions.includes(live_bar(seq=8, start_ns=NINE_THIRTY_NS - 1))


def test_a_bookmark_without_symbols_covers_all_symbols_of_its_lanes() -> None:
    positions = StartPositions(SYMBOLS, None)
    lane = lane_name("GBP/USD")
    assert positions.resume(Bookmark("r", {lane: 5}), dict.fromkeys(LANES, 9)) == {
        lane: 5,
        lane_name("EUR/USD"): 9,
    }
    assert set(positions.new) == set(SYMBOLS) - {"GBP/USD"}


@given(some_symbols, some_symbols, st.fixed_dictionaries(dict.fromkeys(LANES, frames)), frames)
def test_a_resumed_symbol_misses_no_frame_and_a_new_one_starts_after_its_history(
    before: set[str], now: set[str], done: dict[str, int], missed: int
) -> None:
    positions = StartPositions(now, NINE_THIRTY_NS)
    bookmarked = {lane: done[lane] for lane in map(lane_name, before)}
    known = {symbol: StartPosition(0, 0) for symbol in before}
    ends = {lane: seq + missed for lane, seq in done.items()}
    after = positions.resume(Bookmark("r", bookmarked, symbols=known), ends)
    assert set(positions.new) == now - before
    assert after.keys() == {lane_name(symbol) for symbol in now}
    positions.join(ends)
    for symbol in now:
        lane = lane_name(symbol)
        # Live delivers all frames above `after`; these are included.
        included = [
            seq
            for seq in range(after[lane] + 1, ends[lane] + 3)
            if positions.includes(live_bar(symbol=symbol, seq=seq))
        ]
        first = done[lane] if symbol in before else ends[lane]
        assert included == [*range(first + 1, ends[lane] + 3)]


@given(some_symbols, some_symbols, SINCE)
def test_positions_survive_a_restart(before: set[str], now: set[str], since_ns: int | None) -> None:
    positions = StartPositions(before, since_ns)
    positions.join(dict.fromkeys(LANES, 9))
    written = Bookmark("r", {lane_name(symbol): 4 for symbol in before}, symbols=positions.joined)
    resumed = StartPositions(now, None)
    resumed.resume(written, {})
    for symbol in before & now:
        assert resumed.joined[symbol] == StartPosition(9, since_ns or 0)
        assert resumed.was_delivered(live_bar(symbol=symbol, seq=9))
        assert not resumed.was_delivered(live_bar(symbol=symbol, seq=10))
        assert not resumed.includes(live_bar(symbol=symbol, seq=9))


CORRECTION = {"origin": Origin.UPDATED, "late": True}
REFILL = {"origin": Origin.BACKFILL, "late": True}


def at(minute: int) -> int:
    return NINE_THIRTY_NS + minute * MINUTE_NS


def test_a_correction_of_an_earlier_minute_is_not_included() -> None:
    live_start = LiveStart(lambda: at(10))
    assert not live_start.includes(live_bar(start_ns=at(8), **CORRECTION))
    assert live_start.includes(live_bar(start_ns=at(9)))
    assert not live_start.includes(live_bar(start_ns=at(8), **CORRECTION))
    assert live_start.includes(live_bar(start_ns=at(9), **CORRECTION))


def test_the_bar_of_the_minute_before_the_start_is_included() -> None:
    live_start = LiveStart(lambda: at(10) + 1)
    assert live_start.includes(live_bar(start_ns=at(9)))


def test_a_filled_gap_is_included_from_the_start_of_the_stream() -> None:
    live_start = LiveStart(lambda: at(10))
    assert live_start.includes(live_bar(start_ns=at(15)))
    assert [live_start.includes(live_bar(start_ns=at(m), **REFILL)) for m in range(7, 15)] == [
        minute >= 9 for minute in range(7, 15)
    ]


def test_a_replayed_market_starts_with_its_first_bar() -> None:
    live_start = LiveStart(lambda: at(99_999))
    assert not live_start.includes(live_bar(start_ns=at(4), **CORRECTION))
    assert live_start.first_ns("SPY") == 0
    assert live_start.includes(live_bar(start_ns=at(5)))
    assert not live_start.includes(live_bar(start_ns=at(4), **CORRECTION))
    assert live_start.includes(live_bar(start_ns=at(5), **CORRECTION))
    assert live_start.first_ns("SPY") == at(5)
    assert live_start.includes(live_bar(symbol="AAPL", start_ns=at(3)))
