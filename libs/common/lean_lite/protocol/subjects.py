"""
Every subject, stream and bucket on the bus, and which role may use them.

This is the only place that spells a subject. A *lane* is one asset class and one of the sixteen
partitions: the unit that has an order, an owner and a fence.
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

# What users may name: it becomes one token of a subject, or a key.
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PLAIN = re.compile(r"[A-Z0-9-]")


def symbol_token(symbol: str) -> str:
    """Return a symbol as one subject token: `/` becomes `-`, other signs `%XX`."""
    return "".join(
        "-" if sign == "/" else sign if _PLAIN.match(sign) else _escaped(sign) for sign in symbol
    )


def _escaped(sign: str) -> str:
    return "".join(f"%{byte:02X}" for byte in sign.encode())


def raw(feed: str, lane: Lane) -> str:
    """Return the subject of frames as received from a feed."""
    return f"md.raw.{feed}.{lane}"


def raw_of_lane(lane: Lane) -> str:
    """Return the filter for every raw frame of a lane, of any feed."""
    return f"md.raw.*.{lane}"


def graded(lane: Lane) -> str:
    """Return the subject of graded frames."""
    return f"md.graded.{lane}"


def bulk_raw(feed: str, lane: Lane) -> str:
    """Return the subject of history as received from a feed."""
    return f"md.bulk.raw.{feed}.{lane}"


def bulk_raw_of_lane(lane: Lane) -> str:
    """Return the filter for every raw frame of history of a lane, of any feed."""
    return f"md.bulk.raw.*.{lane}"


def bulk_graded(lane: Lane) -> str:
    """Return the subject of graded history."""
    return f"md.bulk.graded.{lane}"


def stream_of(subject: str) -> str:
    """Return the stream that keeps a subject, or nothing when none does."""
    return next((s for s, kept in STREAMS.items() if subject.startswith(kept[:-1])), "")


def position(service: str, instance: str) -> str:
    """Return the key under which a consumer of history says how far it has come."""
    return f"{service}.{instance}"


def live_bar(symbol: str) -> str:
    """Return the subject of a symbol's graded bars, one message each."""
    return f"md.live.bar.{asset_class_of(symbol)}.{symbol_token(symbol)}"


def live_invalid(symbol: str) -> str:
    """Return the subject of a symbol's INVALID bars."""
    return f"md.live.invalid.{asset_class_of(symbol)}.{symbol_token(symbol)}"


def watermark(lane: Lane) -> str:
    """Return the subject that says how far a lane's live records have come."""
    return f"md.live.frame.{lane}"


def lease(kind: str, name: str) -> str:
    """Return the key of a lease or member in its bucket."""
    return f"{kind}.{name}"


def heartbeat(service: str, instance: str) -> str:
    """Return the subject on which a service tells its state and counters every second."""
    return f"md.beat.{service}.{instance}"


def event(kind: str) -> str:
    """Return the subject of events of one kind, kept in the stream EVENTS."""
    return f"md.event.{kind}"


HEARTBEATS = "md.beat.>"


def feed_control(feed: str) -> str:
    """Return the subject on which the runner of a user's feed is asked for symbols."""
    return f"md.ctl.feed.{feed}"


def credit(instance: str) -> str:
    """Return the subject on which the asker of a large reply says how much it has taken."""
    return f"md.credit.{instance}"
