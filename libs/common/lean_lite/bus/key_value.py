"""
Read a key-value bucket without a watcher.

A watcher of nats-py may report its initial values as complete when some of them have not arrived
yet: the reply about its consumer can overtake them. Reading key by key cannot miss one.
"""

import asyncio
from itertools import batched

from nats.js.errors import NotFoundError
from nats.js.kv import KV_OP

from lean_lite.bus.connection import Bus

MAX_CONCURRENT = 64  # requests at a time


async def read_keys(bus: Bus, bucket: str, under: str) -> list[str]:
    """Return the keys below `under`, including those of deleted values."""
    prefix = f"$KV.{bucket}."
    info = await bus.jetstream.stream_info(f"KV_{bucket}", subjects_filter=f"{prefix}{under}.>")
    return [subject.removeprefix(prefix) for subject in info.state.subjects or {}]


async def read_values(bus: Bus, bucket: str, under: str) -> dict[str, bytes]:
    """Return the newest value of every key below `under`, as the stream's leader has it."""
    values: dict[str, bytes] = {}
    for keys in batched(await read_keys(bus, bucket, under), MAX_CONCURRENT):
        newest = await asyncio.gather(*(_read_value(bus, bucket, key) for key in keys))
        values |= {key: value for key, value in zip(keys, newest, strict=True) if value is not None}
    return values


async def _read_value(bus: Bus, bucket: str, key: str) -> bytes | None:
    try:
        message = await bus.jetstream.get_last_msg(f"KV_{bucket}", f"$KV.{bucket}.{key}")
    except NotFoundError:
        return None
    deleted = KV_OP in (message.headers or {})
    return None if deleted else message.data or b""
