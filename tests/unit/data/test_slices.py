from hypothesis import given
from hypothesis import strategies as st

from lean_lite.algorithm.data_models import to_ns
from lean_lite.data.slices import Alignment, Slice
from lean_lite.messages import LiveBar

MINUTE_NS = 60_000_000_000
SYMBOLS = ("AAPL", "MSFT", "BTC/USD")


def record(symbol: str, minute: int, close: float = 1.0) -> LiveBar:
    return LiveBar(symbol, minute * MINUTE_NS, 1.0, 2.0, 0.5, close, 1.0, 4, minute, "iex", 0)


def minutes(slices: list[Slice]) -> list[int]:
    return [to_ns(one.timestamp) // MINUTE_NS for one in slices]


def test_a_slice_is_due_when_every_symbol_has_its_bar() -> None:
    alignment = Alignment(SYMBOLS, 2.0)
    for symbol in SYMBOLS:
        assert not list(alignment.due(0.0))
        assert alignment.add(record(symbol, 1), 0.0) is None
    (due,) = alignment.due(0.0)
    assert list(due.bars) == list(SYMBOLS)
    assert (due.missing, due.revision) == ((), 0)
    assert "MSFT" in due
    assert due["MSFT"].close == 1.0


def test_a_later_bar_of_a_symbol_says_that_it_has_none_before() -> None:
    alignment = Alignment(SYMBOLS, 2.0)
    for symbol, minute in (("AAPL", 1), ("MSFT", 1), ("BTC/USD", 2)):
        alignment.add(record(symbol, minute), 0.0)
    (due,) = alignment.due(0.0)
    assert due.missing == ("BTC/USD",)


def test_a_silent_symbol_is_waited_for_as_long_as_its_grace() -> None:
    alignment = Alignment(SYMBOLS, 2.0)
    alignment.add(record("AAPL", 1), 0.0)
    assert not list(alignment.due(9.9))
    alignment.add(record("AAPL", 2), 10.0)
    assert alignment.deadline == 12.0
    assert not list(alignment.due(11.9))
    assert minutes(list(alignment.due(12.0))) == [1]
    assert alignment.deadline is None


def test_what_comes_later_makes_a_revision_of_all_bars() -> None:
    alignment = Alignment(("AAPL", "MSFT"), 0.0)
    alignment.add(record("AAPL", 1), 0.0)
    alignment.add(record("AAPL", 2), 0.0)
    assert minutes(list(alignment.due(0.0))) == [1]
    revised = alignment.add(record("MSFT", 1, 9.0), 0.0)
    assert revised is not None
    assert (revised.revision, revised.missing, revised["MSFT"].close) == (1, (), 9.0)
    again = alignment.add(record("AAPL", 1, 8.0), 0.0)
    assert again is not None
    assert (again.revision, again["AAPL"].close, again["MSFT"].close) == (2, 8.0, 9.0)


@given(
    st.lists(st.tuples(st.sampled_from(SYMBOLS), st.integers(0, 3), st.floats(0, 3)), max_size=60),
    st.floats(0, 5),
)
def test_slices_come_in_order_and_no_bar_is_lost(
    steps: list[tuple[str, int, float]], grace_s: float
) -> None:
    alignment = Alignment(SYMBOLS, grace_s)
    minute = dict.fromkeys(SYMBOLS, 0)
    first: list[Slice] = []
    known: dict[tuple[str, int], float] = {}
    now = 0.0
    for number, (symbol, ahead, pause_s) in enumerate(steps):
        minute[symbol] += ahead
        now += pause_s
        known[symbol, minute[symbol]] = float(number)
        revised = alignment.add(record(symbol, minute[symbol], float(number)), now)
        if revised is not None:
            assert revised[symbol].close == float(number)
            del known[symbol, minute[symbol]]
        for due in alignment.due(now):
            first.append(due)
            for name, bar in due.bars.items():
                assert known.pop((name, minutes([due])[0])) == bar.close
    for symbol in SYMBOLS:
        alignment.add(record(symbol, 1_000), now)
    for due in alignment.due(now):
        first.append(due)
        for name in due.bars:
            known.pop((name, minutes([due])[0]), None)
    assert minutes(first) == sorted(set(minutes(first)))
    assert not known
