"""What carries the bars of a source to the bus, while its lease is ours."""

from lean_lite.feeds.names import check_name
from lean_lite.feeds.runner import FeedRunner
from lean_lite.feeds.source import Carrier, ConnectionStatus, Source

__all__ = ["Carrier", "ConnectionStatus", "FeedRunner", "Source", "check_name"]
