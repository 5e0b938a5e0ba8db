import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_lite.market.symbols import CURRENCIES, asset_class_of
from lean_lite.protocol.partitions import ASSET_CLASSES


@pytest.mark.parametrize(
    ("symbol", "asset_class"),
    [
        ("SPY", "equity"),
        ("BRK.B", "equity"),
        ("BF-B", "equity"),
        ("USD", "equity"),
        ("", "equity"),
        ("BTC/USD", "crypto"),
        ("ETH/BTC", "crypto"),
        ("USDT/USD", "crypto"),
        ("EUR/BTC", "crypto"),
        ("eur/usd", "crypto"),
        ("EUR/USD", "forex"),
        ("USD/JPY", "forex"),
        ("USD/CNH", "forex"),
        ("XAU/USD", "forex"),
    ],
)
def test_the_asset_class_follows_from_the_form_of_a_symbol(symbol: str, asset_class: str) -> None:
    assert asset_class_of(symbol) == asset_class


@given(st.text())
def test_every_text_has_an_asset_class(symbol: str) -> None:
    assert asset_class_of(symbol) in ASSET_CLASSES


@given(st.sampled_from(sorted(CURRENCIES)), st.sampled_from(sorted(CURRENCIES)))
def test_both_sides_of_forex_are_currencies(base: str, quote: str) -> None:
    assert asset_class_of(f"{base}/{quote}") == "forex"
    assert asset_class_of(f"{base}/{quote}T") == "crypto"


def test_every_currency_code_has_three_capital_letters() -> None:
    assert all(len(code) == 3 and code.isalpha() and code.isupper() for code in CURRENCIES)
