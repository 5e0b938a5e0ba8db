"""
Who owns what: leases in a NATS key-value bucket whose keys expire.

A lease is taken by creating its key, renewed by updating exactly the revision we wrote, and given
back by purging up to exactly that revision. The owner stops on its own before the key can expire.
"""

import asyncio
import logging
import time

from nats.js.errors import KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from lean_lite.bus.connection import TRANSIENT_ERRORS, Bus
from lean_lite.bus.key_value import read_keys
from lean_lite.protocol.subjects import LEASES, MEMBERS
from lean_lite.tasks import finish

RENEW_SHARE = 1 / 3
SAFE_SHARE = 0.9

log = logging.getLogger(__name__)


class Lease:
    """Hold one key of the bucket; `revision` is the first one, an epoch unlike all others."""

    def __init__(self, key: str, revision: int, ttl_s: float, *, requested_at: float) -> None:
        """Start a lease that was asked for at a moment of the monotonic clock."""
        self.key = key
        self.revision = revision
        self.current = revision
        self._ttl_s = ttl_s
        self._requested_at = requested_at
        self._invalidated = False

    @property
    def held(self) -> bool:
        """Say whether nobody else can own the key yet."""
        age_s = time.monotonic() - self._requested_at
        return not self._invalidated and age_s < self._ttl_s * SAFE_SHARE

    def on_renewed(self, revision: int, *, requested_at: float) -> None:
        """Note a renewal that was asked for at that moment."""
        self.current = revision
        self._requested_at = requested_at

    def invalidate(self) -> None:
        """Stop owning, whatever the clock says."""
        self._invalidated = True


class Leases:
    """Take, renew and give back leases; everything takes at most the request limit."""

    def __init__(self, bus: Bus, kind: str, owner: str) -> None:
        """Act for one owner among those of its kind; its name stands in what it writes."""
        self._bus = bus
        self._kind = kind
        self._owner = owner
        self._member = f"{kind}.{owner}"
        self._ttl_s = bus.config.lease_ttl_s
        self._buckets: dict[str, KeyValue] = {}

    @property
    def renew_interval_s(self) -> float:
        """Return how often a lease is to be renewed."""
        return self._ttl_s * RENEW_SHARE

    async def acquire(self, key: str) -> Lease | None:
        """Return the lease of a key, or None while another owner has it."""
        asked_at = time.monotonic()
        try:
            bucket = await self._bucket(LEASES)
            # Not `create`: that looks at the owner it lost to, who may be gone by then.
            revision = await bucket.update(key, self._owner.encode(), last=0)
        except KeyWrongLastSequenceError:
            return None
        return Lease(key, revision, self._ttl_s, requested_at=asked_at)

    async def renew(self, lease: Lease) -> bool:
        """Prolong a lease; False when it is no longer ours."""
        asked_at = time.monotonic()
        try:
            bucket = await self._bucket(LEASES)
            revision = await bucket.update(lease.key, self._owner.encode(), last=lease.current)
        except KeyWrongLastSequenceError:
            return False
        lease.on_renewed(revision, requested_at=asked_at)
        return True

    async def release(self, lease: Lease) -> None:
        """End a lease so that another owner can take it at once."""
        lease.invalidate()
        await self._purge(LEASES, lease.key, lease.current)

    async def renew_until_lost(self, lease: Lease) -> None:
        """Renew a lease for as long as that works; return when it is lost."""
        while lease.held:
            await asyncio.sleep(self.renew_interval_s)
            try:
                if not await finish(self.renew(lease)):
                    break
            except TRANSIENT_ERRORS as error:
                log.info("lease.renew_failed", extra={"key": lease.key, "error": str(error)})
        lease.invalidate()

    async def register(self) -> None:
        """Tell that this owner is there."""
        await (await self._bucket(MEMBERS)).put(self._member, b"")

    async def unregister(self) -> None:
        """Take this owner out of the members."""
        await self._purge(MEMBERS, self._member)

    async def count_members(self) -> int:
        """Return how many owners of this kind are there."""
        return len(await read_keys(self._bus, MEMBERS, self._kind))

    async def _bucket(self, name: str) -> KeyValue:
        if name not in self._buckets:
            self._buckets[name] = await self._bus.jetstream.key_value(name)
        return self._buckets[name]

    async def _purge(self, bucket: str, key: str, revision: int | None = None) -> None:
        if not self._bus.connected:
            return  # Nobody waits for a bus that is away: what is ours there runs out by itself.
        # A purge leaves no tombstone, so the key is free at once; later revisions stay.
        before = None if revision is None else revision + 1
        try:
            await self._bus.jetstream.purge_stream(
                f"KV_{bucket}", seq=before, subject=f"$KV.{bucket}.{key}"
            )
        except TRANSIENT_ERRORS as error:
            log.info("lease.purge_failed", extra={"key": key, "error": str(error)})
