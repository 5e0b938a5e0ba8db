from collections import Counter
from datetime import UTC, date, datetime, time

import pytest

from lean_lite_sim.market.bar import Bar
from lean_lite_sim.market.recordings import load_recorded_symbol
from lean_lite_sim.market.timestamps import NEW_YORK, SECOND_NS

# Clocks in New York changed on Sunday 2026-03-08.
AFTER_CLOCK_CHANGE = date(2026, 3, 11)


def local(bar: Bar) -> datetime:
    return datetime.fromtimestamp(bar.start_ns / SECOND_NS, NEW_YORK)


@pytest.mark.parametrize(("symbol", "count"), [("SPY", 4839), ("AAPL", 2303), ("BTC/USD", 3887)])
def test_every_recorded_bar_is_moved_in_order_of_time(symbol: str, count: int) -> None:
    starts = [bar.start_ns for bar in load_recorded_symbol(symbol, AFTER_CLOCK_CHANGE).bars]
    assert len(starts) == count
    assert starts == sorted(set(starts))


def test_stocks_have_their_recorded_wall_time_across_a_change_of_clocks() -> None:
    recorded = load_recorded_symbol("SPY", AFTER_CLOCK_CHANGE)
    assert recorded.days == [date(2026, 3, day) for day in (3, 4, 5, 6, 9, 10)]
    opens = [bar for bar in recorded.bars if local(bar).time() == time(9, 30)]
    assert [local(bar).date() for bar in opens] == recorded.days
    offsets = [local(bar).utcoffset() for bar in opens]
    assert offsets[3] != offsets[4]


def test_crypto_has_its_recorded_time_of_day_in_utc() -> None:
    recorded = load_recorded_symbol("BTC/USD", AFTER_CLOCK_CHANGE)
    days = Counter(
        datetime.fromtimestamp(b.start_ns / SECOND_NS, UTC).date() for b in recorded.bars
    )
    assert sorted(days) == recorded.days == [date(2026, 3, day) for day in (6, 9, 10)]
    assert recorded.bars[0].start_ns % (86_400 * SECOND_NS) == 0


def test_values_are_exact_and_absent_ones_stay_absent() -> None:
    bar = load_recorded_symbol("AAPL", AFTER_CLOCK_CHANGE).bars[-1]
    assert bar[2:] == (93.76, 93.78, 93.76, 93.77, 2067, None, None)
    assert isinstance(bar.volume, int)
    coin = load_recorded_symbol("BTC/USD", AFTER_CLOCK_CHANGE).bars[0]
    assert coin[2:] == (7424.91, 7424.91, 7422.0, 7422.0, 7.14319709, None, None)


def test_all_recorded_bars_have_valid_prices_and_whole_shares() -> None:
    for symbol in ("SPY", "AAPL", "BTC/USD"):
        for bar in load_recorded_symbol(symbol, AFTER_CLOCK_CHANGE).bars:
            assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
            assert bar.volume > 0
            assert isinstance(bar.volume, float if "/" in symbol else int)
