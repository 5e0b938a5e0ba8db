import pytest

from lean_lite_sim.market.bar import Bar
from lean_lite_sim.market.timeframe import fold_bars, parse_timeframe
from lean_lite_sim.market.timestamps import MINUTE_NS, format_instant, parse_instant


def minutes(symbol: str, start: str, count: int) -> list[Bar]:
    first = parse_instant(start)
    return [
        Bar(symbol, first + n * MINUTE_NS, 10.0 + n, 12.0 + n, 9.0 - n, 11.0 + n, 100, 2, 10.0 + n)
        for n in range(count)
    ]


def test_long_bars_fold_prices_volumes_counts_and_vwap() -> None:
    (bar,) = fold_bars(minutes("SPY", "2026-11-20T15:00:00Z", 3), parse_timeframe("5Min"))
    start_ns = parse_instant("2026-11-20T15:00:00Z")
    assert bar == Bar("SPY", start_ns, 10.0, 14.0, 7.0, 13.0, 300, 6, 11.0)


def test_a_long_bar_has_no_vwap_if_one_of_its_minutes_has_none() -> None:
    first, second = minutes("SPY", "2026-11-20T15:00:00Z", 2)
    bare = second._replace(trade_count=None, vwap=None)
    (bar,) = fold_bars([first, bare], parse_timeframe("1Hour"))
    assert (bar.trade_count, bar.vwap) == (None, None)


@pytest.mark.parametrize(
    ("symbol", "timeframe", "start"),
    [
        ("SPY", "1Day", "2026-11-20T05:00:00Z"),
        ("BTC/USD", "1Day", "2026-11-20T06:00:00Z"),
        ("SPY", "4Hour", "2026-11-20T13:00:00Z"),
        ("BTC/USD", "4Hour", "2026-11-20T12:00:00Z"),
        ("SPY", "45Min", "2026-11-20T14:45:00Z"),
    ],
)
def test_long_bars_start_on_the_grid_of_their_market(
    symbol: str, timeframe: str, start: str
) -> None:
    bars = minutes(symbol, "2026-11-20T15:00:00Z", 5)
    (bar,) = fold_bars(bars, parse_timeframe(timeframe))
    assert format_instant(bar.start_ns) == start


def test_a_day_of_a_stock_has_its_regular_session_only() -> None:
    bars = minutes("SPY", "2026-11-20T14:25:00Z", 10) + minutes("SPY", "2026-11-20T20:58:00Z", 5)
    (bar,) = fold_bars(bars, parse_timeframe("1Day"))
    assert bar.open == 15.0
    assert bar.volume == 700


@pytest.mark.parametrize("text", ["", "Min", "0Min", "60Min", "24Hour", "2Day", "1Week", "1min"])
def test_other_timeframes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid timeframe"):
        parse_timeframe(text)
