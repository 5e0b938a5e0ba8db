"""
The newest bar of each symbol in Valkey, for whoever has no store nearby.

Hash `bars:latest:{feed}:{res_s}`, simulated bars in `bars:latest:{feed}:{res_s}:simulated`; field =
symbol; value = 65 bytes, little-endian: start_ns i8; open, high, low, close, volume, vwap f8 (NaN:
no vwap); trade_count i8 (-1: none); level u1 (1 POOR to 4 EXCELLENT). Valkey is a copy: nothing
waits for it and nothing is lost with it.
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
PENDING = 131_072

# Replicas and refills come in any order, so the server compares: starts as reversed bytes, since
# its numbers are too short for nanoseconds. Then one HSET per 1,000 symbols (its stack is bounded).
ADVANCE = """
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
    """Hold one value of the hash."""

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
    Keep Valkey's hashes up to date, one call per flush and hash.

    While the server is away only the newest bar per symbol waits, `PENDING` at most.
    """

    def __init__(self, url: str) -> None:
        """
        Connect to nothing before `run`; an empty address switches this off.

        ConfigError when it is no address.
        """
        self._redis = _client(url) if url else None
        self._pending: dict[tuple[str, str], bytes] = {}
        self._wake = asyncio.Event()
        self._up: bool | None = None

    def put_nowait(self, source: Source, change: Change) -> None:
        """Take the newest bar of each symbol among those that a flush has changed."""
        if self._redis is None:
            return
        key = hash_of(source)
        for symbol, winners in change.winners.items():
            if winners:
                self._keep((key, symbol), pack(change.records[winners[max(winners)]]))
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
                on_retry=lambda error: self._mark(up=False, error=repr(error)),
            )

    async def _write(self, redis: Redis) -> None:
        """Write until the server is lost."""
        await redis.ping()
        self._mark(up=True)
        while True:
            await self._wake.wait()
            self._wake.clear()
            taken, self._pending = self._pending, {}
            hashes: dict[str, list[str | bytes]] = {}
            for (key, symbol), value in taken.items():
                hashes.setdefault(key, []).extend((symbol, value))
            try:
                for key, pairs in hashes.items():
                    await redis.eval(ADVANCE, 1, key, *pairs)
            except REDIS_ERRORS:
                newer, self._pending = self._pending, taken
                for place, value in newer.items():
                    self._keep(place, value)
                self._wake.set()
                raise

    def _keep(self, place: tuple[str, str], value: bytes) -> None:
        waiting = self._pending.pop(place, None)
        if waiting is not None and _start_ns(waiting) > _start_ns(value):
            value = waiting
        self._pending[place] = value
        if len(self._pending) > PENDING:
            del self._pending[next(iter(self._pending))]

    def _mark(self, *, up: bool, error: str = "") -> None:
        REDIS_UP.set(up)
        if up and self._up is False:
            log.info("store.redis_is_back")
        if not up and self._up is not False:
            todo = "start it or correct `store.redis_url`; the store works on and fills it later"
            log.warning("store.redis_is_away", extra={"error": error, "todo": todo})
        self._up = up


def hash_of(source: Source) -> str:
    """Return the name of the hash that holds a source's newest bars."""
    name = f"bars:latest:{source.feed}:{source.resolution_s}"
    return f"{name}:simulated" if source.simulated else name


async def read_latest(
    redis: Redis, feed: str, res_s: int, symbols: Sequence[str], *, simulated: bool = False
) -> dict[str, LatestBar]:
    """Return the newest bar of those symbols that have one."""
    if not symbols:
        return {}
    key = hash_of(Source(feed, res_s, simulated))
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
