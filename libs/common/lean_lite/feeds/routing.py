"""The names that feeds of users may have."""

from lean_lite.config.alpaca import FEEDS
from lean_lite.errors import FeedError


def check_name(name: str) -> None:
    """Raise FeedError for the name of an account's feed, whose bars are kept under it."""
    if name in FEEDS:
        message = (
            f"{name} is a feed of Alpaca's accounts, and bars of two feeds never mix: give yours "
            f"another name, like my_{name}"
        )
        raise FeedError(message)
