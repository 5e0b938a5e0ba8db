"""
The newest bar of each symbol in Valkey, for programs that do not use the bus.

Hash `bars:latest:{feed}:{res_s}`, simulated bars in `bars:latest:{feed}:{res_s}:simulated`; field =
symbol; value = 65 bytes, little-endian: start_ns i8; open, high, low, close, volume, vwap f8 (NaN:
no vwap); trade_count i8 (-1: none); level u1 (1 POOR to 4 EXCELLENT). Valkey holds a copy: nothing
waits for it, and if it fails nothing is lost.
"""

import asyncio
import logging
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from lean_lite.bus.retry import retry
from lean_lite.errors import ConfigError
from lean_lite_store.metrics import REDIS_UP
from lean_lite_store.storage.day_table import Change
from lean_lite_store.storage.series import Source

LAYOUT = struct.Struct("<qddddddqB")
TIMEOUT_S = 2.0
RETRY_MAX_S = 2.0
MAX_PENDING = 131_072

# Replicas and refills write in any order, so the server compares the starts: as reversed bytes,
# since a Lua number is too short for nanoseconds. One HSET per 1,000 symbols: Lua's stack is
# bounded.
UPDATE_SCRIPT = """
local found = {}
for i = 1, #ARGV, 2 do
  local old = redis.call('HGET', KEYS[1], ARGV[i])
  local start = string.reverse(string.sub(ARGV[i + 1], 1, 8))
  if not old or string.reverse(string.sub(old, 1, 8)) <= start then
    found[#found + 1] = ARGV[i]
    found[#found + 1] = ARGV[i + 1]
  end
  if #found >= 2000 or (i >= #ARGV - 1 and #found > 0) then
    redis.call('HSET', KEYS[1], unpack(found))
    found = {}
  end
end
"""

REDIS_ERRORS = (RedisError, OSError, TimeoutError)

log = logging.getLogger(__name__)


class LatestBar(NamedTuple):
    """One value of the hash."""

    start_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float
    trade_count: int
    level: int


class LatestBars:
    """
    Writer of Valkey's hashes, one call per flush and hash; an empty `url` switches it off.

    While the server is unavailable, only the newest bar per symbol waits, at most `MAX_PENDING`.
    ConfigError for an invalid address.
    """

    def __init__(self, url: str) -> None:
        self._redis = _client(url) if url else None
        self._pending: dict[tuple[str, str], bytes] = {}
        self._wake = asyncio.Event()
        self._up: bool | None = None

    def put_nowait(self, source: Source, change: Change) -> None:
        """Queue the newest bar of each symbol that a flush has changed."""
        if self._redis is None:
            return
        key = hash_name(source)
        for symbol, winners in change.winners.items():
            if winners:
                self._put_newest((key, symbol), pack(change.records[winners[max(winners)]]))
        self._wake.set()

    async def run(self) -> None:
        """Write until cancelled."""
        redis = self._redis
        if redis is None:
            return
        async with redis:
            await retry(
                lambda: self._write(redis),
                REDIS_ERRORS,
                first_s=RETRY_MAX_S,
                max_s=RETRY_MAX_S,
                on_retry=lambda error: self._set_up(up=False, error=repr(error)),
            )

    async def _write(self, redis: Redis) -> None:
        """Write until the server is lost."""
        await redis.ping()
        self._set_up(up=True)
        while True:
            await self._wake.wait()
            self._wake.clear()
            taken, self._pending = self._pending, {}
            hashes: dict[str, list[str | bytes]] = {}
            for (key, symbol), value in taken.items():
                hashes.setdefault(key, []).extend((symbol, value))
            try:
                for key, pairs in hashes.items():
                    await redis.eval(UPDATE_SCRIPT, 1, key, *pairs)
            except REDIS_ERRORS:
                newer, self._pending = self._pending, taken
                for place, value in newer.items():
                    self._put_newest(place, value)
                self._wake.set()
                raise

    def _put_newest(self, place: tuple[str, str], value: bytes) -> None:
        waiting = self._pending.pop(place, None)
        if waiting is not None and _start_ns(waiting) > _start_ns(value):
            value = waiting
        self._pending[place] = value
        if len(self._pending) > MAX_PENDING:
            del self._pending[next(iter(self._pending))]

    def _set_up(self, *, up: bool, error: str = "") -> None:
        REDIS_UP.set(up)
        if up and self._up is False:
            log.info("valkey.connected")
        if not up and self._up is not False:
            hint = "start it or correct `store.redis_url`; the store runs on and fills it later"
            log.warning("valkey.unavailable", extra={"error": error, "hint": hint})
        self._up = up


def hash_name(source: Source) -> str:
    """Return the name of the hash that holds a source's newest bars."""
    name = f"bars:latest:{source.feed}:{source.resolution_s}"
    return f"{name}:simulated" if source.simulated else name


async def read_latest(
    redis: Redis, feed: str, res_s: int, symbols: Sequence[str], *, simulated: bool = False
) -> dict[str, LatestBar]:
    """Read the newest bar of those symbols that have one."""
    if not symbols:
        return {}
    key = hash_name(Source(feed, res_s, simulated))
    values: list[Any] = await redis.hmget(key, list(symbols))
    return {
        symbol: LatestBar(*LAYOUT.unpack(value))
        for symbol, value in zip(symbols, values, strict=True)
        if value is not None
    }


def pack(record: np.void) -> bytes:
    """Return a bar's bytes in the hash."""
    return LAYOUT.pack(*(record[name].item() for name in LatestBar._fields))


def _client(url: str) -> Redis:
    try:
        return Redis.from_url(
            url,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise ConfigError("store.redis_url", f"{error}, like redis://127.0.0.1:6379/0") from error


def _start_ns(value: bytes) -> int:
    return int.from_bytes(value[:8], "little", signed=True)
