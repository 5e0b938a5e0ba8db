import pytest

from lean_lite.data import AlpacaDataFeed, DataFeed
from lean_lite.data.engine.feed_registry import FeedRegistry
from lean_lite.errors import FeedError, RequestError
from tests.harness.forex_feed import CustomForexFeed


def registry(*feeds: DataFeed) -> FeedRegistry:
    made = FeedRegistry()
    for feed in feeds:
        made.add(feed)
    return made


def chosen(feeds: FeedRegistry, symbol: str, name: str | None = None) -> str:
    feed = feeds.feed_for(symbol, name)
    assert feed is not None
    return feed.name


SPECIFIED = (
    AlpacaDataFeed("alpaca_stocks"),
    AlpacaDataFeed("alpaca_crypto"),
    CustomForexFeed("forex_feed"),
)


@pytest.mark.parametrize("order", [SPECIFIED, SPECIFIED[::-1]])
@pytest.mark.parametrize(
    ("symbol", "name"),
    [("AAPL", "alpaca_stocks"), ("BTC/USD", "alpaca_crypto"), ("EUR/USD", "forex_feed")],
)
def test_a_word_in_the_feed_name_selects_the_feed(
    order: tuple[DataFeed, ...], symbol: str, name: str
) -> None:
    assert chosen(registry(*order), symbol) == name


@pytest.mark.parametrize(
    ("name", "symbol"),
    [("MyForex", "EUR/USD"), ("fx-main", "EUR/USD"), ("CryptoFeed", "BTC/USD"), ("US_shares", "F")],
)
def test_a_word_in_the_feed_name_is_found_in_any_case_and_position(name: str, symbol: str) -> None:
    assert chosen(registry(CustomForexFeed("plain"), CustomForexFeed(name)), symbol) == name


def test_without_a_word_the_feed_added_first_is_selected() -> None:
    assert chosen(registry(CustomForexFeed("b"), CustomForexFeed("a")), "AAPL") == "b"


def test_a_feed_named_for_another_asset_class_is_selected_last() -> None:
    feeds = registry(AlpacaDataFeed("alpaca_crypto"), CustomForexFeed("plain"))
    assert chosen(feeds, "AAPL") == "plain"
    assert chosen(registry(AlpacaDataFeed("alpaca_crypto")), "AAPL") == "alpaca_crypto"


def test_a_given_feed_name_overrides_the_selection() -> None:
    assert chosen(registry(*SPECIFIED), "AAPL", "forex_feed") == "forex_feed"


def test_an_unknown_feed_name_is_an_error_that_lists_the_feeds() -> None:
    with pytest.raises(FeedError, match=r"no feed 'fx'; there are alpaca_stocks, .*add it"):
        registry(*SPECIFIED).feed_for("EUR/USD", "fx")
    with pytest.raises(FeedError, match="no feed was added"):
        registry().feed_for("EUR/USD", "fx")


def test_an_asset_class_without_a_feed_is_an_error() -> None:
    with pytest.raises(FeedError, match=r"no feed serves EUR/USD \(forex\); there are alpaca_main"):
        registry(AlpacaDataFeed("alpaca_main")).feed_for("EUR/USD")


def test_without_feeds_ingest_serves_every_symbol() -> None:
    assert registry().feed_for("AAPL") is None


def test_two_feeds_with_the_same_name_are_refused() -> None:
    feed = CustomForexFeed("fx")
    feeds = registry(feed, feed)
    assert list(feeds) == ["fx"]
    with pytest.raises(FeedError, match="already"):
        feeds.add(CustomForexFeed("fx"))


@pytest.mark.parametrize("name", ["", "a.b", "a b", "a*", "ü", "x" * 65])
def test_a_name_that_is_not_valid_in_a_subject_is_refused(name: str) -> None:
    with pytest.raises(FeedError, match="letters, digits"):
        CustomForexFeed(name)


@pytest.mark.parametrize("name", ["iex", "sip", "us"])
def test_a_users_feed_can_not_have_the_name_of_an_accounts_feed(name: str) -> None:
    with pytest.raises(FeedError, match=f"give yours another name, like my_{name}"):
        registry(CustomForexFeed(name))
    assert chosen(registry(AlpacaDataFeed(name)), "AAPL") == name


@pytest.mark.parametrize("symbol", ["", " ", "SPY ", "BRK B", "A\nB"])
@pytest.mark.parametrize("name", [None, "forex_feed"])
def test_a_symbol_with_white_space_is_invalid(symbol: str, name: str | None) -> None:
    with pytest.raises(RequestError, match=r"expected e\.g\. AAPL, BRK\.B or BTC/USD") as caught:
        registry(*SPECIFIED).feed_for(symbol, name)
    assert caught.value.code == "symbol"


@pytest.mark.parametrize("symbol", [None, 5, ["SPY", "AAPL"], b"SPY"])
def test_a_symbol_that_is_not_text_is_a_type_error(symbol: object) -> None:
    with pytest.raises(TypeError, match=r"expected text, e\.g\. 'AAPL'"):
        registry().feed_for(symbol)  # type: ignore[arg-type]
