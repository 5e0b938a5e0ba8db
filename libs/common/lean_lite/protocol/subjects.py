"""
Every subject, stream and bucket on the bus, and which role may use them.

This is the only place that spells a subject. A *lane* is one asset class and one of the sixteen
partitions: the unit that has an order, an owner and a fence.
"""

import re
from typing import NamedTuple
from urllib.parse import unquote

from lean_lite.market.symbols import asset_class_of

PARTITIONS = 16
ASSET_CLASSES = ("equity", "crypto", "forex")

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
STRATEGIES = "strategies"

SUBSCRIBE = "md.ctl.subscribe"
BACKFILL = "md.ctl.backfill"
HISTORY = "md.history"

# What users may name: it becomes one token of a subject, or a key.
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PLAIN = re.compile(r"[A-Z0-9-]")
_FNV_OFFSET = 0x811C9DC5
_FNV_PRIME = 0x01000193


class Lane(NamedTuple):
    """Name one asset class and partition."""

    asset_class: str
    partition: int

    def __str__(self) -> str:
        """Return the lane as it stands in a subject."""
        return f"{self.asset_class}.{self.partition}"

    @classmethod
    def of_subject(cls, subject: str) -> "Lane":
        """Return the lane that ends a subject of frames."""
        *_, asset_class, partition = subject.split(".")
        return cls(asset_class, int(partition))


def partition_of(symbol: str) -> int:
    """Return FNV-1a-32 of the symbol modulo 16, as NATS' own `partition` mapping does."""
    value = _FNV_OFFSET
    for byte in symbol.encode():
        value = ((value ^ byte) * _FNV_PRIME) & 0xFFFFFFFF
    return value % PARTITIONS


def lane_of(symbol: str) -> Lane:
    """Return the lane of a symbol."""
    return Lane(asset_class_of(symbol), partition_of(symbol))


def lanes_of_partition(partition: int) -> list[Lane]:
    """Return the lanes of one partition, one per asset class."""
    return [Lane(asset_class, partition) for asset_class in ASSET_CLASSES]


def symbol_token(symbol: str) -> str:
    """Return a symbol as one subject token: `/` becomes `-`, other signs `%XX`."""
    return "".join(
        "-" if sign == "/" else sign if _PLAIN.match(sign) else _escaped(sign) for sign in symbol
    )


def symbol_of_token(token: str, asset_class: str) -> str:
    """Return the symbol of a token; the asset class says what a `-` stood for."""
    symbol = unquote(token)
    return symbol if asset_class == "equity" else symbol.replace("-", "/")


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


def live_head(lane: Lane) -> str:
    """Return the subject that says how far a lane's live records have come."""
    return f"md.live.frame.{lane}"


def lease(kind: str, name: str) -> str:
    """Return the key of a lease or member in its bucket."""
    return f"{kind}.{name}"


def beat(service: str, instance: str) -> str:
    """Return the subject on which a service tells its state and counters every second."""
    return f"md.beat.{service}.{instance}"


def event(kind: str) -> str:
    """Return the subject of events of one kind, kept in the stream EVENTS."""
    return f"md.event.{kind}"


BEATS = "md.beat.>"
CREDITS = "md.credit.>"
HEADS_PREFIX = "md.live.frame."


def feed_control(feed: str) -> str:
    """Return the subject on which the runner of a user's feed is asked for symbols."""
    return f"md.ctl.feed.{feed}"


def credit(instance: str) -> str:
    """Return the subject on which the asker of a large reply says how much it has taken."""
    return f"md.credit.{instance}"


class Grant(NamedTuple):
    """List what a role may publish and receive, and whether it answers requests."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    answers: bool = False


def _reads(stream: str) -> tuple[str, ...]:
    return (
        f"$JS.API.CONSUMER.CREATE.{stream}",
        f"$JS.API.CONSUMER.CREATE.{stream}.>",
        f"$JS.API.CONSUMER.DELETE.{stream}.>",
        f"$JS.API.CONSUMER.INFO.{stream}.>",
        *_looks_up(stream),
        f"$JS.ACK.{stream}.>",
        f"$JS.FC.{stream}.>",
    )


def _keeps(bucket: str) -> tuple[str, ...]:
    stream = f"KV_{bucket}"
    return (f"$KV.{bucket}.>", f"$JS.API.STREAM.PURGE.{stream}", *_looks_up(stream))


def _owns(bucket: str, kind: str) -> tuple[str, ...]:
    """Return what it takes to keep the keys of one kind, and nobody else's."""
    stream = f"KV_{bucket}"
    return (f"$KV.{bucket}.{kind}.>", f"$JS.API.STREAM.PURGE.{stream}", *_looks_up(stream))


def _looks_up(stream: str) -> tuple[str, ...]:
    return (
        f"$JS.API.STREAM.INFO.{stream}",
        f"$JS.API.STREAM.MSG.GET.{stream}",
        f"$JS.API.DIRECT.GET.{stream}",
        f"$JS.API.DIRECT.GET.{stream}.>",
    )


_SERVICE = ("md.beat.>", "md.event.>", "$JS.API.INFO")
_DISCOVERY = ("$SRV.>",)

ROLES: dict[str, Grant] = {
    "ingest": Grant(
        (
            "md.raw.>",
            "md.bulk.raw.>",
            *_reads(RAW),
            *_reads(BULK_RAW),
            *_reads(f"KV_{POSITIONS}"),
            *_keeps(LEASES),
            *_keeps(MEMBERS),
            *_keeps(INTEREST),
            *_SERVICE,
        ),
        ("md.ctl.>", "md.credit.>", *_DISCOVERY),
        answers=True,
    ),
    "validate": Grant(
        (
            "md.graded.>",
            "md.bulk.graded.>",
            "md.live.>",
            *_reads(RAW),
            *_reads(GRADED),
            *_reads(BULK_RAW),
            *_reads(BULK_GRADED),
            *_keeps(POSITIONS),
            *_keeps(LEASES),
            *_keeps(MEMBERS),
            *_SERVICE,
        ),
        (),
    ),
    "store": Grant(
        (BACKFILL, *_reads(GRADED), *_reads(BULK_GRADED), *_keeps(POSITIONS), *_SERVICE),
        ("md.history", "md.credit.>", *_DISCOVERY),
        answers=True,
    ),
    "metrics": Grant(
        (*_SERVICE, *(f"$JS.API.STREAM.INFO.{stream}" for stream in STREAMS)),
        ("md.beat.>", "md.event.>"),
    ),
    "feed": Grant(
        (
            "md.raw.>",
            *_looks_up(RAW),
            *_owns(LEASES, "feed"),
            *_owns(MEMBERS, "feed"),
            "md.beat.feed.>",
            "md.event.feed",
            "$JS.API.INFO",
        ),
        ("md.ctl.feed.>", "md.credit.>", *_DISCOVERY),
        answers=True,
    ),
    "client": Grant(
        ("md.history", "md.ctl.>", "md.credit.>", *_keeps(STRATEGIES)),
        ("md.live.>", "md.beat.>"),
    ),
}
ADMIN = "admin"


def inbox_prefix(role: str) -> str:
    """Return the prefix of the inboxes that belong to a role alone."""
    return f"_INBOX.{role}"
