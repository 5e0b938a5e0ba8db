"""What each role may publish and receive on the bus."""

from typing import NamedTuple

from lean_lite.protocol.subjects import (
    BACKFILL,
    BOOKMARKS,
    BULK_GRADED,
    BULK_RAW,
    GRADED,
    INTEREST,
    LEASES,
    MEMBERS,
    POSITIONS,
    RAW,
    STREAMS,
)


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
        ("md.history", "md.ctl.>", "md.credit.>", *_keeps(BOOKMARKS)),
        ("md.live.>", "md.beat.>"),
    ),
}
ADMIN = "admin"


def inbox_prefix(role: str) -> str:
    """Return the prefix of the inboxes that belong to a role alone."""
    return f"_INBOX.{role}"
