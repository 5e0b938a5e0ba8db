"""
Messages, subjects and permissions of the bus.

Message types are loaded when they are first used: `LiveBar` needs numpy, which most processes that
only use subjects do not load.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lean_lite.protocol.bookmark import Bookmark, DeliveredBar, StartPosition
    from lean_lite.protocol.control import (
        BackfillReply,
        BackfillRequest,
        Interest,
        SubscribeReply,
        SubscribeRequest,
    )
    from lean_lite.protocol.events import Event, FeedEvent, GapEvent
    from lean_lite.protocol.headers import CoveredSpan
    from lean_lite.protocol.heartbeat import Heartbeat, Sample
    from lean_lite.protocol.history import Gap, HistoryReply, HistoryRequest
    from lean_lite.protocol.live import LiveBar, Watermark

_HOMES = {
    "BackfillReply": "control",
    "BackfillRequest": "control",
    "Bookmark": "bookmark",
    "CoveredSpan": "headers",
    "DeliveredBar": "bookmark",
    "Event": "events",
    "FeedEvent": "events",
    "Gap": "history",
    "GapEvent": "events",
    "Heartbeat": "heartbeat",
    "HistoryReply": "history",
    "HistoryRequest": "history",
    "Interest": "control",
    "LiveBar": "live",
    "Sample": "heartbeat",
    "StartPosition": "bookmark",
    "SubscribeReply": "control",
    "SubscribeRequest": "control",
    "Watermark": "live",
}

__all__ = [
    "BackfillReply",
    "BackfillRequest",
    "Bookmark",
    "CoveredSpan",
    "DeliveredBar",
    "Event",
    "FeedEvent",
    "Gap",
    "GapEvent",
    "Heartbeat",
    "HistoryReply",
    "HistoryRequest",
    "Interest",
    "LiveBar",
    "Sample",
    "StartPosition",
    "SubscribeReply",
    "SubscribeRequest",
    "Watermark",
]


def __getattr__(name: str) -> object:
    """Import the module of a message type."""
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"lean_lite.protocol.{_HOMES[name]}"), name)
