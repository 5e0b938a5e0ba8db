"""
What a key-value bucket holds, read without a consumer.

A watch of nats-py takes its first values for complete when the answer about its consumer overtakes
the values themselves; asking for each key cannot miss one.
"""

import asyncio
from itertools import batched

from nats.js.errors import NotFoundError
from nats.js.kv import KV_OP

from lean_lite.bus.connection import Bus

MAX_CONCURRENT = 64


async def read_keys(bus: Bus, bucket: str, under: str) -> list[str]:
    """Return the keys below `under`, those of deleted values included."""
    prefix = f"$KV.{bucket}."
    info = await bus.jetstream.stream_info(f"KV_{bucket}", subjects_filter=f"{prefix}{under}.>")
    return [subject.removeprefix(prefix) for subject in info.state.subjects or {}]


async def read_values(bus: Bus, bucket: str, under: str) -> dict[str, bytes]:
    """Return the newest value of every key below `under`, as the leader has them."""
    found: dict[str, bytes] = {}
    for some in batched(await read_keys(bus, bucket, under), MAX_CONCURRENT):
        newest = await asyncio.gather(*(_read_value(bus, bucket, key) for key in some))
        found |= {key: value for key, value in zip(some, newest, strict=True) if value is not None}
    return found


async def _read_value(bus: Bus, bucket: str, key: str) -> bytes | None:
    try:
        message = await bus.jetstream.get_last_msg(f"KV_{bucket}", f"$KV.{bucket}.{key}")
    except NotFoundError:
        return None
    deleted = KV_OP in (message.headers or {})
    return None if deleted else message.data or b""
