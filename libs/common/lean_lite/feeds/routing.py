"""The names that feeds of users may have."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from lean_lite.config.sections import FEEDS
from lean_lite.errors import FeedError


def check_feed_name(name: str) -> None:
    """Raise FeedError for the name of an account's feed, whose bars are kept under it."""
    if name in FEEDS:
        message = (
            f"{name} is a feed of Alpaca's accounts, and bars of two feeds never mix: give yours "
            f"another name, like my_{name}"
        )
        raise FeedError(message)


INGEST = ""
NO_FEEDS: Mapping[str, str] = MappingProxyType({})


def group_by_feed(symbols: Iterable[str], feeds: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return symbols by the feed that a mapping names for them; `INGEST` for those it does not."""
    groups: dict[str, list[str]] = {}
    for symbol in symbols:
        groups.setdefault(feeds.get(symbol, INGEST), []).append(symbol)
    return {feed: tuple(group) for feed, group in groups.items()}
