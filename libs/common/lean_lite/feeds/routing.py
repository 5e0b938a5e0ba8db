"""Which feed serves a symbol: ingest, or a user's feed by its name."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from lean_lite.config.sections import FEEDS
from lean_lite.errors import FeedError

INGEST = ""  # in place of a feed's name: ingest serves the symbol
NO_FEEDS: Mapping[str, str] = MappingProxyType({})


def check_feed_name(name: str) -> None:
    """Raise FeedError for the name of an account's feed, under which its bars are stored."""
    if name in FEEDS:
        message = (
            f"{name} is the name of a feed of Alpaca, and bars of two feeds must not mix: give "
            f"yours another name, like my_{name}"
        )
        raise FeedError(message)


def group_by_feed(symbols: Iterable[str], feeds: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Group symbols by the feed that `feeds` names for them, or `INGEST`."""
    groups: dict[str, list[str]] = {}
    for symbol in symbols:
        groups.setdefault(feeds.get(symbol, INGEST), []).append(symbol)
    return {feed: tuple(group) for feed, group in groups.items()}
