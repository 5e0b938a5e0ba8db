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
    """
    Permissions of a role.

    Attributes:
        publish: subjects that it may publish.
        subscribe: subjects that it may subscribe to, besides the inboxes of the role.
        answers: whether it may reply to requests.
    """

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    answers: bool = False


def _consume(stream: str) -> tuple[str, ...]:
    """Return the API subjects that create, inspect and delete a consumer of a stream."""
    return (
        f"$JS.API.CONSUMER.CREATE.{stream}",
        f"$JS.API.CONSUMER.CREATE.{stream}.>",
        f"$JS.API.CONSUMER.DELETE.{stream}.>",
        f"$JS.API.CONSUMER.INFO.{stream}.>",
        *_get_messages(stream),
        f"$JS.ACK.{stream}.>",
        f"$JS.FC.{stream}.>",
    )


def _write_bucket(bucket: str) -> tuple[str, ...]:
    """Return the subjects that write and read every key of a bucket."""
    stream = f"KV_{bucket}"
    return (f"$KV.{bucket}.>", f"$JS.API.STREAM.PURGE.{stream}", *_get_messages(stream))


def _write_keys(bucket: str, kind: str) -> tuple[str, ...]:
    """Return the subjects that write the keys of one kind, and no others."""
    stream = f"KV_{bucket}"
    return (f"$KV.{bucket}.{kind}.>", f"$JS.API.STREAM.PURGE.{stream}", *_get_messages(stream))


def _get_messages(stream: str) -> tuple[str, ...]:
    """Return the API subjects that get single messages of a stream, without a consumer."""
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
            *_consume(RAW),
            *_consume(BULK_RAW),
            *_consume(f"KV_{POSITIONS}"),
            *_write_bucket(LEASES),
            *_write_bucket(MEMBERS),
            *_write_bucket(INTEREST),
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
            *_consume(RAW),
            *_consume(GRADED),
            *_consume(BULK_RAW),
            *_consume(BULK_GRADED),
            *_write_bucket(POSITIONS),
            *_write_bucket(LEASES),
            *_write_bucket(MEMBERS),
            *_SERVICE,
        ),
        (),
    ),
    "store": Grant(
        (BACKFILL, *_consume(GRADED), *_consume(BULK_GRADED), *_write_bucket(POSITIONS), *_SERVICE),
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
            *_get_messages(RAW),
            *_write_keys(LEASES, "feed"),
            *_write_keys(MEMBERS, "feed"),
            "md.beat.feed.>",
            "md.event.feed",
            "$JS.API.INFO",
        ),
        ("md.ctl.feed.>", "md.credit.>", *_DISCOVERY),
        answers=True,
    ),
    "client": Grant(
        ("md.history", "md.ctl.>", "md.credit.>", *_write_bucket(BOOKMARKS)),
        ("md.live.>", "md.beat.>"),
    ),
}
ADMIN = "admin"


def inbox_prefix(role: str) -> str:
    """Return the prefix of the inboxes that only this role may subscribe to."""
    return f"_INBOX.{role}"
