from datetime import date, time

from hypothesis import given
from hypothesis import strategies as st

from lean_lite_sim.market.synthetic import REGULAR_MINUTES, SyntheticWalk, synthetic_symbol
from lean_lite_sim.market.timestamps import MINUTE_NS, NEW_YORK, local_instant

OPEN_NS = local_instant(date(2026, 11, 20), time(9, 30), NEW_YORK)


def test_every_minute_of_the_session_has_a_valid_bar() -> None:
    walk = SyntheticWalk(1)
    for minute in range(REGULAR_MINUTES):
        bar = walk.bar("SYN0007", OPEN_NS + minute * MINUTE_NS)
        assert bar is not None
        assert 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        assert bar.volume > 0
        assert bar.trade_count is not None
        assert bar.trade_count > 0
        assert bar.vwap is not None
        assert bar.low <= bar.vwap <= bar.high


def test_there_is_no_bar_outside_the_session_or_between_minutes() -> None:
    walk = SyntheticWalk(1)
    assert walk.bar("SYN0000", OPEN_NS - MINUTE_NS) is None
    assert walk.bar("SYN0000", OPEN_NS + REGULAR_MINUTES * MINUTE_NS) is None
    assert walk.bar("SYN0000", OPEN_NS + 1) is None


@given(st.integers(0, 2**32), st.integers(0, REGULAR_MINUTES - 2), st.integers(0, 11_000))
def test_bars_depend_on_seed_symbol_and_minute_only(seed: int, minute: int, index: int) -> None:
    symbol, start_ns = synthetic_symbol(index), OPEN_NS + minute * MINUTE_NS
    first = SyntheticWalk(seed).bar(symbol, start_ns)
    other = SyntheticWalk(seed)
    following = other.bar(symbol, start_ns + MINUTE_NS)
    assert other.bar(symbol, start_ns) == first
    assert first is not None
    assert following is not None
    assert following.open == first.close
