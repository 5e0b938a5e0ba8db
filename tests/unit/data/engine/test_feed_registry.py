import pytest

from lean_lite.data import AlpacaDataFeed, DataFeed
from lean_lite.data.engine.feed_registry import FeedRegistry
from lean_lite.errors import FeedError, RequestError
from tests.harness.forex_feed import CustomForexFeed


def roster(*feeds: DataFeed) -> FeedRegistry:
    found = FeedRegistry()
    for feed in feeds:
        found.add(feed)
    return found


def chosen(found: FeedRegistry, symbol: str, name: str | None = None) -> str:
    feed = found.feed_for(symbol, name)
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
def test_a_word_in_the_name_decides(order: tuple[DataFeed, ...], symbol: str, name: str) -> None:
    assert chosen(roster(*order), symbol) == name


@pytest.mark.parametrize(
    ("name", "symbol"),
    [("MyForex", "EUR/USD"), ("fx-main", "EUR/USD"), ("CryptoFeed", "BTC/USD"), ("US_shares", "F")],
)
def test_a_word_is_found_in_any_spelling(name: str, symbol: str) -> None:
    assert chosen(roster(CustomForexFeed("plain"), CustomForexFeed(name)), symbol) == name


def test_without_a_word_the_order_of_adding_decides() -> None:
    assert chosen(roster(CustomForexFeed("b"), CustomForexFeed("a")), "AAPL") == "b"


def test_a_feed_named_for_another_class_comes_last() -> None:
    feeds = roster(AlpacaDataFeed("alpaca_crypto"), CustomForexFeed("plain"))
    assert chosen(feeds, "AAPL") == "plain"
    assert chosen(roster(AlpacaDataFeed("alpaca_crypto")), "AAPL") == "alpaca_crypto"


def test_the_name_asked_for_overrides() -> None:
    assert chosen(roster(*SPECIFIED), "AAPL", "forex_feed") == "forex_feed"


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(FeedError, match=r"no feed 'fx'; there are alpaca_stocks, .*add it"):
        roster(*SPECIFIED).feed_for("EUR/USD", "fx")
    with pytest.raises(FeedError, match="no feed was added"):
        roster().feed_for("EUR/USD", "fx")


def test_a_class_that_nobody_serves_is_told() -> None:
    with pytest.raises(FeedError, match=r"no feed serves EUR/USD \(forex\); there are alpaca_main"):
        roster(AlpacaDataFeed("alpaca_main")).feed_for("EUR/USD")


def test_without_feeds_the_bus_serves_every_symbol() -> None:
    assert roster().feed_for("AAPL") is None


def test_two_feeds_of_one_name_are_refused() -> None:
    feed = CustomForexFeed("fx")
    feeds = roster(feed, feed)
    assert list(feeds) == ["fx"]
    with pytest.raises(FeedError, match="already"):
        feeds.add(CustomForexFeed("fx"))


@pytest.mark.parametrize("name", ["", "a.b", "a b", "a*", "ü", "x" * 65])
def test_a_name_that_no_subject_holds_is_refused(name: str) -> None:
    with pytest.raises(FeedError, match="letters, digits"):
        CustomForexFeed(name)


@pytest.mark.parametrize("name", ["iex", "sip", "us"])
def test_a_users_feed_can_not_have_the_name_of_an_accounts(name: str) -> None:
    with pytest.raises(FeedError, match=f"give yours another name, like my_{name}"):
        roster(CustomForexFeed(name))
    assert chosen(roster(AlpacaDataFeed(name)), "AAPL") == name


@pytest.mark.parametrize("symbol", ["", " ", "SPY ", "BRK B", "A\nB"])
@pytest.mark.parametrize("name", [None, "forex_feed"])
def test_what_is_no_word_is_no_symbol(symbol: str, name: str | None) -> None:
    with pytest.raises(RequestError, match="equities look like AAPL") as caught:
        roster(*SPECIFIED).feed_for(symbol, name)
    assert caught.value.code == "symbol"


@pytest.mark.parametrize("symbol", [None, 5, ["SPY", "AAPL"], b"SPY"])
def test_what_is_no_text_is_no_symbol(symbol: object) -> None:
    with pytest.raises(TypeError, match="a symbol is text"):
        roster().feed_for(symbol)  # type: ignore[arg-type]
