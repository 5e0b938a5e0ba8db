"""Run a user's feed: publish its bars to the bus under a lease."""

from lean_lite.feeds.interfaces import ConnectionStatus, FeedHost, RunnableFeed
from lean_lite.feeds.routing import check_feed_name
from lean_lite.feeds.runner import FeedRunner

__all__ = ["ConnectionStatus", "FeedHost", "FeedRunner", "RunnableFeed", "check_feed_name"]
