"""
Subjects, streams and buckets of the bus.

Only this module and `permissions` spell subjects.
"""

import re

from lean_lite.market.symbols import asset_class_of
from lean_lite.protocol.partitions import Lane

RAW = "RAW"
GRADED = "GRADED"
BULK_RAW = "BULK_RAW"
BULK_GRADED = "BULK_GRADED"
EVENTS = "EVENTS"
STREAMS = {
    RAW: "md.raw.>",
    GRADED: "md.graded.>",
    BULK_RAW: "md.bulk.raw.>",
    BULK_GRADED: "md.bulk.graded.>",
    EVENTS: "md.event.>",
}

LEASES = "leases"
MEMBERS = "members"
INTEREST = "interest"
POSITIONS = "positions"
BOOKMARKS = "strategies"

SUBSCRIBE = "md.ctl.subscribe"
BACKFILL = "md.ctl.backfill"
HISTORY = "md.history"
HEARTBEATS = "md.beat.>"

# Names that users choose become one token of a subject, or a key.
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PLAIN = re.compile(r"[A-Z0-9-]")


def symbol_token(symbol: str) -> str:
    """Convert a symbol to one subject token: `/` becomes `-`, other characters `%XX`."""
    return "".join(
        "-" if char == "/" else char if _PLAIN.match(char) else _escape(char) for char in symbol
    )


def _escape(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode())


def raw(feed: str, lane: Lane) -> str:
    """Return the subject of RAW frames of a feed."""
    return f"md.raw.{feed}.{lane}"


def raw_of_lane(lane: Lane) -> str:
    """Return the filter of RAW frames of a lane, of any feed."""
    return f"md.raw.*.{lane}"


def graded(lane: Lane) -> str:
    """Return the subject of GRADED frames."""
    return f"md.graded.{lane}"


def bulk_raw(feed: str, lane: Lane) -> str:
    """Return the subject of fetched history of a feed."""
    return f"md.bulk.raw.{feed}.{lane}"


def bulk_raw_of_lane(lane: Lane) -> str:
    """Return the filter of fetched history of a lane, of any feed."""
    return f"md.bulk.raw.*.{lane}"


def bulk_graded(lane: Lane) -> str:
    """Return the subject of graded history."""
    return f"md.bulk.graded.{lane}"


def stream_of(subject: str) -> str:
    """Return the stream that stores a subject; empty if none does."""
    filters = STREAMS.items()
    return next((name for name, pattern in filters if subject.startswith(pattern[:-1])), "")


def position(service: str, instance: str) -> str:
    """Return the key of a consumer's position in the streams of history."""
    return f"{service}.{instance}"


def live_bar(symbol: str) -> str:
    """Return the subject of a symbol's live bars."""
    return f"md.live.bar.{asset_class_of(symbol)}.{symbol_token(symbol)}"


def live_invalid(symbol: str) -> str:
    """Return the subject of a symbol's live bars that are INVALID."""
    return f"md.live.invalid.{asset_class_of(symbol)}.{symbol_token(symbol)}"


def watermark(lane: Lane) -> str:
    """Return the subject of a lane's watermarks."""
    return f"md.live.frame.{lane}"


def lease(kind: str, name: str) -> str:
    """Return the key of a lease or of a member."""
    return f"{kind}.{name}"


def heartbeat(service: str, instance: str) -> str:
    """Return the subject of a process' heartbeats."""
    return f"md.beat.{service}.{instance}"


def event(kind: str) -> str:
    """Return the subject of events of one kind."""
    return f"md.event.{kind}"


def feed_control(feed: str) -> str:
    """Return the subject of subscriptions to a user's feed."""
    return f"md.ctl.feed.{feed}"


def credit(instance: str) -> str:
    """Return the subject on which the receiver of a chunked reply grants credit."""
    return f"md.credit.{instance}"
