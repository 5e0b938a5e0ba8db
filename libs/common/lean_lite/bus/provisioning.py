"""Provision a NATS server: its configuration with one user per role, its streams and buckets."""

import json
from collections.abc import Mapping

from nats.js.api import KeyValueConfig, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError

from lean_lite.bus.connection import Bus
from lean_lite.config import StreamsConfig
from lean_lite.protocol.permissions import ADMIN, ROLES, inbox_prefix
from lean_lite.protocol.subjects import (
    BOOKMARKS,
    BULK_GRADED,
    BULK_RAW,
    EVENTS,
    INTEREST,
    LEASES,
    MEMBERS,
    POSITIONS,
    STREAMS,
)

PAYLOAD_BYTES = 1024**2
STREAM_NAME_IN_USE = 10058  # JetStream's error code
BUCKET_DUPLICATES_S = 120.0  # the duplicate window that nats-py sets for a bucket
# A consumer of history that reports no position for this long counts as gone.
POSITION_TTL_S = 10.0


def server_config(
    passwords: Mapping[str, str], *, port: int, folder: str, host: str = "127.0.0.1"
) -> str:
    """
    Return the configuration of a nats-server as JSON, with one user and its permissions per role.

    `passwords` maps each role and `admin` to its password; `folder` is that of the streams.
    """
    users: list[dict[str, object]] = [{"user": ADMIN, "password": passwords[ADMIN]}]
    users += [
        {"user": role, "password": passwords[role], "permissions": permissions(role)}
        for role in ROLES
    ]
    return json.dumps(
        {
            "host": host,
            "port": port,
            "max_payload": PAYLOAD_BYTES,
            # A client that reads too slowly is disconnected, so that it does not take the server's
            # memory; it catches up from the streams.
            "max_pending": 16 * 1024**2,
            "write_deadline": "2s",
            # Synced before it is acknowledged: publishers drop their rows then and readers store
            # the sequence. Bars would be lost if a stream lost its end in a power failure.
            "jetstream": {"store_dir": folder, "sync_interval": "always"},
            "authorization": {"users": users},
        },
        indent=2,
    )


def permissions(role: str) -> dict[str, object]:
    """Return the NATS permissions of a role."""
    grant = ROLES[role]
    allowed: dict[str, object] = {
        "publish": {"allow": list(grant.publish)},
        "subscribe": {"allow": [*grant.subscribe, f"{inbox_prefix(role)}.>"]},
    }
    if grant.answers:
        allowed["allow_responses"] = {"max": 1000, "expires": "60s"}
    return allowed


async def create_streams(bus: Bus, config: StreamsConfig) -> None:
    """Create missing streams and buckets and update existing ones; needs the role `admin`."""
    for name, subject in STREAMS.items():
        stream = StreamConfig(
            name=name,
            subjects=[subject],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            max_age=config.age_s,
            max_bytes=_max_bytes(name, config),
            duplicate_window=config.duplicates_s,
            num_replicas=config.replicas,
            allow_direct=True,
        )
        try:
            await bus.jetstream.add_stream(stream)
        except BadRequestError as error:
            if error.err_code != STREAM_NAME_IN_USE:
                raise
            await bus.jetstream.update_stream(stream)
    for name, ttl_s in _buckets(bus.config.lease_ttl_s).items():
        try:
            await bus.jetstream.create_key_value(
                KeyValueConfig(bucket=name, ttl=ttl_s, replicas=config.replicas)
            )
        except BadRequestError as error:
            if error.err_code != STREAM_NAME_IN_USE:
                raise
            await _update_bucket(bus, name, ttl_s, config.replicas)


async def _update_bucket(bus: Bus, name: str, ttl_s: float | None, replicas: int) -> None:
    found = (await bus.jetstream.stream_info(f"KV_{name}")).config
    found.max_age = ttl_s
    found.num_replicas = replicas
    # The server refuses a duplicate window that is longer than the age of the oldest message.
    found.duplicate_window = min(ttl_s or BUCKET_DUPLICATES_S, BUCKET_DUPLICATES_S)
    await bus.jetstream.update_stream(found)


def _max_bytes(stream: str, config: StreamsConfig) -> int:
    if stream in (BULK_RAW, BULK_GRADED):
        return config.bulk_bytes
    return config.event_bytes if stream == EVENTS else config.bytes


def _buckets(lease_ttl_s: float) -> dict[str, float | None]:
    return {
        LEASES: lease_ttl_s,
        MEMBERS: lease_ttl_s,
        POSITIONS: POSITION_TTL_S,
        INTEREST: None,
        BOOKMARKS: None,
    }
