"""
Leases: exclusive ownership of a key for a limited time, in a NATS bucket whose keys expire.

A lease is acquired by creating its key, renewed by updating exactly the revision that this owner
wrote, and released by purging up to exactly that revision: no call can touch the lease of a later
owner. An owner whose renewals fail stops by its own clock, before the key expires on the server.
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

# Shares of the lease's time. After a renewal two more are sent before the owner stops: one of them
# may fail.
RENEW_SHARE = 1 / 3
# The owner counts from when it sent a request, the server from when it stored it: so the owner
# always stops first. The last tenth covers clocks that run at different rates, and a frame that was
# sent just before.
SAFE_SHARE = 0.9

log = logging.getLogger(__name__)


class Lease:
    """
    Ownership of one key, acquired by a request sent at `requested_at` of the monotonic clock.

    `revision` is that of its first write: no other lease ever has it, so it serves as the owner's
    epoch. `current` is the revision of the last renewal.
    """

    def __init__(self, key: str, revision: int, ttl_s: float, *, requested_at: float) -> None:
        self.key = key
        self.revision = revision
        self.current = revision
        self._ttl_s = ttl_s
        self._requested_at = requested_at
        self._invalidated = False

    @property
    def held(self) -> bool:
        """Whether no other owner can have the key yet."""
        age_s = time.monotonic() - self._requested_at
        return not self._invalidated and age_s < self._ttl_s * SAFE_SHARE

    def on_renewed(self, revision: int, *, requested_at: float) -> None:
        """Extend the lease after a renewal that was requested at `requested_at`."""
        self.current = revision
        self._requested_at = requested_at

    def invalidate(self) -> None:
        """End the lease, however much of its time is left."""
        self._invalidated = True


class Leases:
    """
    Acquires, renews and releases leases for one owner, a member of the owners of its `kind`.

    Every request takes at most the bus' request timeout.
    """

    def __init__(self, bus: Bus, kind: str, owner: str) -> None:
        self._bus = bus
        self._kind = kind
        self._owner = owner
        self._member = f"{kind}.{owner}"
        self._ttl_s = bus.config.lease_ttl_s
        self._buckets: dict[str, KeyValue] = {}

    @property
    def renew_interval_s(self) -> float:
        """Seconds between two renewals."""
        return self._ttl_s * RENEW_SHARE

    async def acquire(self, key: str) -> Lease | None:
        """Acquire the lease of a key; None while another owner has it."""
        requested_at = time.monotonic()
        try:
            bucket = await self._bucket(LEASES)
            # Not `create`: when that is refused, it reads the present value to see whether it is
            # deleted, and fails if the key has expired in between.
            revision = await bucket.update(key, self._owner.encode(), last=0)
        except KeyWrongLastSequenceError:
            return None
        return Lease(key, revision, self._ttl_s, requested_at=requested_at)

    async def renew(self, lease: Lease) -> bool:
        """Renew a lease; False when another owner has it."""
        requested_at = time.monotonic()
        try:
            bucket = await self._bucket(LEASES)
            revision = await bucket.update(lease.key, self._owner.encode(), last=lease.current)
        except KeyWrongLastSequenceError:
            return False
        lease.on_renewed(revision, requested_at=requested_at)
        return True

    async def release(self, lease: Lease) -> None:
        """End a lease, so that another owner can acquire it immediately."""
        lease.invalidate()
        await self._purge(LEASES, lease.key, lease.current)

    async def renew_until_lost(self, lease: Lease) -> None:
        """
        Renew a lease until it is lost.

        A cancellation takes effect after the renewal in progress: its revision must be known, or
        `release` would purge nothing.
        """
        while lease.held:
            await asyncio.sleep(self.renew_interval_s)
            try:
                if not await finish(self.renew(lease)):
                    break
            except TRANSIENT_ERRORS as error:
                log.info("lease.renew_failed", extra={"key": lease.key, "error": str(error)})
        lease.invalidate()

    async def register(self) -> None:
        """Announce this owner as a member; it expires like a lease."""
        await (await self._bucket(MEMBERS)).put(self._member, b"")

    async def unregister(self) -> None:
        """Remove this owner from the members."""
        await self._purge(MEMBERS, self._member)

    async def count_members(self) -> int:
        """Return the number of members of this kind."""
        return len(await read_keys(self._bus, MEMBERS, self._kind))

    async def _bucket(self, name: str) -> KeyValue:
        if name not in self._buckets:
            self._buckets[name] = await self._bus.jetstream.key_value(name)
        return self._buckets[name]

    async def _purge(self, bucket: str, key: str, revision: int | None = None) -> None:
        if not self._bus.connected:
            # The key expires by itself; waiting for an unavailable bus would delay the stop.
            return
        # A purge leaves no tombstone, which `update(last=0)` would take for an owner. It spares
        # revisions above `revision`: those are another owner's.
        before = None if revision is None else revision + 1
        try:
            await self._bus.jetstream.purge_stream(
                f"KV_{bucket}", seq=before, subject=f"$KV.{bucket}.{key}"
            )
        except TRANSIENT_ERRORS as error:
            log.info("lease.purge_failed", extra={"key": key, "error": str(error)})
