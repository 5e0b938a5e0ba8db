"""What carries the bars of a source to the bus, while its lease is ours."""

from lean_lite.feeds.interfaces import ConnectionStatus, FeedHost, RunnableFeed
from lean_lite.feeds.routing import check_feed_name
from lean_lite.feeds.runner import FeedRunner

__all__ = ["ConnectionStatus", "FeedHost", "FeedRunner", "RunnableFeed", "check_feed_name"]
