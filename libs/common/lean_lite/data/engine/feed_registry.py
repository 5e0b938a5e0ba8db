"""FeedRegistry: the added feeds, and which one serves a symbol."""

import re
from collections.abc import Iterator, Mapping

from lean_lite.data.feed import DataFeed
from lean_lite.errors import FeedError, RequestError
from lean_lite.feeds import check_feed_name
from lean_lite.market.symbols import asset_class_of

# Words in the name of a feed that make it the first choice for an asset class.
WORDS = {
    "equity": {"stock", "stocks", "equity", "equities", "share", "shares"},
    "crypto": {"crypto", "cryptos", "coin", "coins"},
    "forex": {"forex", "fx", "currency", "currencies"},
}
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


class FeedRegistry(Mapping[str, DataFeed]):
    """Feeds by name, in the order they were added."""

    def __init__(self) -> None:
        self._feeds: dict[str, DataFeed] = {}

    def __getitem__(self, name: str) -> DataFeed:
        """Return a feed; KeyError if there is none of that name."""
        return self._feeds[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._feeds)

    def __len__(self) -> int:
        """Return the number of feeds."""
        return len(self._feeds)

    def add(self, feed: DataFeed) -> None:
        """
        Add a feed; the same one again does nothing.

        Raises:
            FeedError: another feed has its name, or it is a user's feed with the name of an
                account's feed.
        """
        if not feed.served_by_ingest:
            check_feed_name(feed.name)
        if self._feeds.setdefault(feed.name, feed) is not feed:
            message = f"there is a feed {feed.name} already: give this one another name"
            raise FeedError(message)

    def feed_for(self, symbol: str, name: str | None = None) -> DataFeed | None:
        """
        Return the feed that serves a symbol.

        Of the feeds that serve its asset class, one named for the class is preferred, one named
        for another class is the last choice, and then the order of adding decides.

        Args:
            symbol: the symbol.
            name: name of the feed to use instead.

        Returns:
            The feed, or None if no feed was added: then ingest serves all symbols.

        Raises:
            FeedError: there is no feed of that name, or none serves the asset class.
            RequestError: the symbol is invalid, as in `check_symbol`.
        """
        check_symbol(symbol)
        if name is not None:
            return self._named(name)
        if not self._feeds:
            return None
        asset_class = asset_class_of(symbol)
        able = [feed for feed in self._feeds.values() if asset_class in feed.asset_classes]
        if not able:
            message = (
                f"no feed serves {symbol} ({asset_class}); there are {self._names()}: add a feed "
                f"that does, or name one with `feed_name`"
            )
            raise FeedError(message)
        return min(able, key=lambda feed: _rank(feed.name, asset_class))

    def _named(self, name: str) -> DataFeed:
        if name not in self._feeds:
            known = f"there are {self._names()}" if self._feeds else "no feed was added"
            message = f"there is no feed {name!r}; {known}: add it with `engine.add_feed` first"
            raise FeedError(message)
        return self._feeds[name]

    def _names(self) -> str:
        return ", ".join(self._feeds)


def check_symbol(symbol: object) -> None:
    """
    Check that a symbol is one word; whether it exists is known to its feed.

    Raises:
        TypeError: the symbol is not text.
        RequestError: `symbol`, the text is empty or has white space.
    """
    if not isinstance(symbol, str):
        message = f"invalid symbol {symbol!r}: expected text, e.g. 'AAPL' or 'BTC/USD'"
        raise TypeError(message)
    if symbol.split() != [symbol]:
        code = "symbol"
        message = f"invalid symbol {symbol!r}: expected e.g. AAPL, BRK.B or BTC/USD"
        raise RequestError(code, message)


def _rank(name: str, asset_class: str) -> int:
    """Return 0 for a feed named for the asset class, 2 for one named for others, else 1."""
    words = {word.lower() for word in _WORD.findall(name)}
    named_for = {found for found, meant in WORDS.items() if words & meant}
    if not named_for:
        return 1
    return 0 if asset_class in named_for else 2
