from lean_lite.blocks import Origin
from lean_lite.data.beginning import Beginning
from tests.unit.common.samples import MINUTE_NS, NINE_THIRTY_NS, live_bar

CORRECTION = {"origin": Origin.UPDATED, "late": True}
REFILL = {"origin": Origin.BACKFILL, "late": True}


def at(minute: int) -> int:
    return NINE_THIRTY_NS + minute * MINUTE_NS


def test_a_correction_of_an_earlier_minute_is_older_than_the_stream() -> None:
    beginning = Beginning(lambda: at(10))
    assert not beginning.includes(live_bar(start_ns=at(8), **CORRECTION))
    assert beginning.includes(live_bar(start_ns=at(9)))
    assert not beginning.includes(live_bar(start_ns=at(8), **CORRECTION))
    assert beginning.includes(live_bar(start_ns=at(9), **CORRECTION))


def test_the_bar_of_the_last_minute_counts_when_it_comes_only_now() -> None:
    beginning = Beginning(lambda: at(10) + 1)
    assert beginning.includes(live_bar(start_ns=at(9)))


def test_a_hole_that_is_filled_counts_from_when_the_stream_began() -> None:
    beginning = Beginning(lambda: at(10))
    assert beginning.includes(live_bar(start_ns=at(15)))
    assert [beginning.includes(live_bar(start_ns=at(m), **REFILL)) for m in range(7, 15)] == [
        minute >= 9 for minute in range(7, 15)
    ]


def test_a_replayed_market_begins_with_its_first_bar() -> None:
    beginning = Beginning(lambda: at(99_999))
    assert not beginning.includes(live_bar(start_ns=at(4), **CORRECTION))
    assert beginning.first_ns("SPY") == 0
    assert beginning.includes(live_bar(start_ns=at(5)))
    assert not beginning.includes(live_bar(start_ns=at(4), **CORRECTION))
    assert beginning.includes(live_bar(start_ns=at(5), **CORRECTION))
    assert beginning.first_ns("SPY") == at(5)
    assert beginning.includes(live_bar(symbol="AAPL", start_ns=at(3)))
