"""A source of bars that a user writes, and what carries its bars to the bus."""

from lean_lite.feeds.feed import ConnectionStatus, DataFeed
from lean_lite.feeds.runner import FeedRunner

__all__ = ["ConnectionStatus", "DataFeed", "FeedRunner"]
