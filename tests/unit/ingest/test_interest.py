import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_lite_ingest.alpaca.symbols import invalid_reason, split_valid


@pytest.mark.parametrize(
    "symbol", ["A", "AAPL", "BRK.B", "BF-B", "SPY2", "BTC/USD", "ETH/BTC", "1INCH/USD"]
)
def test_well_formed_symbols_have_no_fault(symbol: str) -> None:
    assert invalid_reason(symbol) is None


@pytest.mark.parametrize(
    "symbol",
    [
        "",
        " ",
        "aapl",
        "AAPL ",
        "AAPL\n",
        "AA PL",
        "1AAPL",
        "AAPL.",
        ".B",
        "BRK.B.C",
        "BRK.BBBBB",
        "ABCDEFGHIJKL",
        "BTC/",
        "/USD",
        "B/USD",
        "BTC/USD/X",
        "btc/usd",
        "A>",
        "A*",
        "É",
        "\uff11",  # a digit, but not of ASCII
    ],
)
def test_other_texts_are_named_with_an_example(symbol: str) -> None:
    fault = invalid_reason(symbol)
    assert fault is not None
    assert fault.startswith(f"invalid symbol {symbol!r}")
    assert "BRK.B" in fault


@pytest.mark.parametrize("symbol", ["EUR/USD", "USD/JPY", "XAU/USD"])
def test_a_pair_of_currencies_is_refused_with_the_feed_that_it_needs(symbol: str) -> None:
    fault = invalid_reason(symbol)
    assert fault is not None
    assert fault.startswith(symbol)
    assert "feed of your own that serves forex" in fault


def test_the_whole_market_can_not_be_asked_for() -> None:
    assert "whole market" in (invalid_reason("*") or "")


@given(st.text())
def test_what_passes_can_stand_in_a_subject_and_in_a_key(symbol: str) -> None:
    if invalid_reason(symbol) is None:
        assert symbol.isascii()
        assert not set(symbol) & set(" *>\t\r\n")


def test_symbols_are_sorted_out_once_and_in_order() -> None:
    good, refused = split_valid(["SPY", "spy", "AAPL", "SPY", "*"])
    assert good == ["SPY", "AAPL"]
    assert refused == {"spy": invalid_reason("spy"), "*": invalid_reason("*")}
