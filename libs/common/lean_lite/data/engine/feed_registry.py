"""The feeds of an engine, and which of them serves a symbol."""

import re
from collections.abc import Iterator, Mapping

from lean_lite.data.feed import DataFeed
from lean_lite.errors import FeedError, RequestError
from lean_lite.feeds import check_feed_name
from lean_lite.market.symbols import asset_class_of

WORDS = {
    "equity": {"stock", "stocks", "equity", "equities", "share", "shares"},
    "crypto": {"crypto", "cryptos", "coin", "coins"},
    "forex": {"forex", "fx", "currency", "currencies"},
}
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


class FeedRegistry(Mapping[str, DataFeed]):
    """Hold feeds by name, in the order they were added."""

    def __init__(self) -> None:
        """Start with none."""
        self._feeds: dict[str, DataFeed] = {}

    def __getitem__(self, name: str) -> DataFeed:
        """Return a feed; KeyError when there is none of that name."""
        return self._feeds[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self._feeds)

    def __len__(self) -> int:
        """Return the number of feeds."""
        return len(self._feeds)

    def add(self, feed: DataFeed) -> None:
        """Add a feed; FeedError when another one, or a feed of an account, has its name."""
        if not feed.served_by_ingest:
            check_feed_name(feed.name)
        if self._feeds.setdefault(feed.name, feed) is not feed:
            message = f"there is a feed {feed.name} already: give this one another name"
            raise FeedError(message)

    def feed_for(self, symbol: str, name: str | None = None) -> DataFeed | None:
        """
        Return the feed that serves a symbol; None when no feed was added, and the bus serves it.

        Among those that serve its asset class, one named for the class comes first and one named
        for another class last; then the order of adding decides. `name` overrides. FeedError when
        there is no such feed, or none serves the symbol; errors of `check_symbol`.
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
        return min(able, key=lambda feed: _priority(feed.name, asset_class))

    def _named(self, name: str) -> DataFeed:
        if name not in self._feeds:
            known = f"there are {self._names()}" if self._feeds else "no feed was added"
            message = f"there is no feed {name!r}; {known}: add it with `engine.add_feed` first"
            raise FeedError(message)
        return self._feeds[name]

    def _names(self) -> str:
        return ", ".join(self._feeds)


def check_symbol(symbol: object) -> None:
    """Raise TypeError for what is no text, RequestError `symbol` for text that is no word."""
    if not isinstance(symbol, str):
        message = f"a symbol is text, as 'AAPL' or 'BTC/USD', not {symbol!r}"
        raise TypeError(message)
    if symbol.split() != [symbol]:
        code = "symbol"
        message = f"{symbol!r} is no symbol: equities look like AAPL or BRK.B, crypto like BTC/USD"
        raise RequestError(code, message)


def _priority(name: str, asset_class: str) -> int:
    words = {word.lower() for word in _WORD.findall(name)}
    named_for = {found for found, meant in WORDS.items() if words & meant}
    if not named_for:
        return 1
    return 0 if asset_class in named_for else 2
