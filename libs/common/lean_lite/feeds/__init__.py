"""What carries the bars of a source to the bus, while its lease is ours."""

from lean_lite.feeds.interfaces import Carrier, ConnectionStatus, Source
from lean_lite.feeds.routing import check_name
from lean_lite.feeds.runner import FeedRunner

__all__ = ["Carrier", "ConnectionStatus", "FeedRunner", "Source", "check_name"]
