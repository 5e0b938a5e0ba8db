from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_lite.errors import FeedUnavailable
from lean_lite_ingest.alpaca.simulator import SimulatorSymbols
from lean_lite_ingest.alpaca.symbols import SymbolDirectory, invalid_reason, split_valid


class Listing:
    """The symbols of a vendor that can be unavailable."""

    unknown_reason = "no such symbol"

    def __init__(self, *symbols: str) -> None:
        self.symbols = {*symbols}
        self.is_unavailable = False
        self.requests: list[set[str]] = []

    async def fetch_existing(self, symbols: Collection[str]) -> set[str]:
        self.requests.append({*symbols})
        if self.is_unavailable:
            raise FeedUnavailable("unavailable")
        return self.symbols & {*symbols}


async def test_each_symbol_is_looked_up_once() -> None:
    listing = Listing("SPY")
    directory = SymbolDirectory("iex", listing)
    for _ in range(2):
        assert await directory.find_unknown(["SPY", "SPYY"]) == {"SPYY": "no such symbol"}
    assert listing.requests == [{"SPY", "SPYY"}]


async def test_no_symbol_is_refused_while_the_vendor_is_unavailable() -> None:
    listing = Listing("SPY")
    directory = SymbolDirectory("iex", listing)
    listing.is_unavailable = True
    assert await directory.find_unknown(["SPY", "SPYY"]) == {}
    listing.is_unavailable = False
    assert await directory.find_unknown(["SPYY"]) == {"SPYY": "no such symbol"}


def test_a_simulator_without_symbols_names_its_test_symbol() -> None:
    assert "use FAKEPACA, or Alpaca's data" in SimulatorSymbols("http://x").unknown_reason


@pytest.mark.parametrize(
    "symbol", ["A", "AAPL", "BRK.B", "BF-B", "SPY2", "BTC/USD", "ETH/BTC", "1INCH/USD"]
)
def test_well_formed_symbols_are_valid(symbol: str) -> None:
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
def test_malformed_symbols_are_refused_with_an_example(symbol: str) -> None:
    reason = invalid_reason(symbol)
    assert reason is not None
    assert reason.startswith(f"invalid symbol {symbol!r}")
    assert "BRK.B" in reason


@pytest.mark.parametrize("symbol", ["EUR/USD", "USD/JPY", "XAU/USD"])
def test_a_pair_of_currencies_is_refused_with_the_feed_that_it_needs(symbol: str) -> None:
    reason = invalid_reason(symbol)
    assert reason is not None
    assert reason.startswith(symbol)
    assert "feed of your own that serves forex" in reason


def test_the_wildcard_symbol_is_refused() -> None:
    assert "whole market" in (invalid_reason("*") or "")


@given(st.text())
def test_a_valid_symbol_fits_into_subjects_and_keys(symbol: str) -> None:
    if invalid_reason(symbol) is None:
        assert symbol.isascii()
        assert not set(symbol) & set(" *>\t\r\n")


def test_symbols_are_split_without_repeats_and_in_order() -> None:
    valid, refused = split_valid(["SPY", "spy", "AAPL", "SPY", "*"])
    assert valid == ["SPY", "AAPL"]
    assert refused == {"spy": invalid_reason("spy"), "*": invalid_reason("*")}
