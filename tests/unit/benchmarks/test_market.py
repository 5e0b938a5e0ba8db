from itertools import groupby

from tests.benchmarks.shared.market import Row, digest, minutes, symbols, year

NAMES = symbols(3)
ROWS = [row[:7] for row in minutes(NAMES, 0, 4)]


def test_the_same_minutes_always_have_the_same_bars() -> None:
    assert list(minutes(NAMES, 7, 5)) == list(minutes(NAMES, 7, 5))
    assert list(minutes(NAMES, 7, 5)) != list(minutes(NAMES, 8, 5))


def test_bars_are_plausible() -> None:
    for row in minutes(NAMES, 0, 500):
        assert row.low <= min(row.open, row.close) <= max(row.open, row.close) <= row.high
        assert row.low <= row.vwap <= row.high


def test_a_year_has_252_days_of_390_minutes() -> None:
    starts = [row.start_ns for row in year()]
    assert len(starts) == len(set(starts)) == 98_280
    assert starts == sorted(starts)
    days = [len(list(day)) for _, day in groupby(starts, lambda ns: ns // 86_400_000_000_000)]
    assert days == [390] * 252


def test_the_digest_detects_lost_duplicate_changed_and_swapped_bars() -> None:
    changed = (*ROWS[0][:-1], ROWS[0][-1] + 1)
    swapped = [ROWS[3], *ROWS[1:3], ROWS[0], *ROWS[4:]]
    others = [ROWS[1:], [ROWS[0], *ROWS], [changed, *ROWS[1:]], swapped]
    assert ROWS[3][0] == ROWS[0][0]
    assert len({digest(rows) for rows in (ROWS, *others)}) == 5


def test_the_digest_ignores_the_order_between_symbols() -> None:
    by_symbol = [row[:7] for name in NAMES for row in minutes(NAMES, 0, 4) if row.symbol == name]
    assert by_symbol != ROWS
    assert digest(by_symbol) == digest(ROWS)


def test_names_are_unique() -> None:
    assert len(set(symbols(500))) == 500
    assert all(isinstance(row, Row) for row in minutes(NAMES, 0, 1))
