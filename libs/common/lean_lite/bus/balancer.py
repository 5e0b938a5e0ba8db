"""Share keys evenly among the members of a service, by lease."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable

from lean_lite.bus.connection import TRANSIENT_ERRORS
from lean_lite.bus.leases import Lease, Leases
from lean_lite.errors import Fenced, LeaseLost
from lean_lite.tasks import finish

log = logging.getLogger(__name__)


class LeaseBalancer:
    """
    Share a set of keys evenly among all members.

    `work` runs for every key owned, as a task that is cancelled when the lease is lost or handed
    over; its failure ends `run`.
    """

    def __init__(
        self,
        leases: Leases,
        keys: Iterable[str],
        work: Callable[[Lease], Awaitable[None]],
    ) -> None:
        """Share these keys; nothing is taken before `run`."""
        self._leases = leases
        self._keys = tuple(keys)
        self._work = work
        self._owned: dict[str, asyncio.Task[None]] = {}
        self._held: dict[str, Lease] = {}

    @property
    def owned(self) -> frozenset[str]:
        """Return the keys that are ours now."""
        return frozenset(key for key, lease in self._held.items() if lease.held)

    async def run(self) -> None:
        """Take, renew, work and hand over until cancelled; then give everything back."""
        try:
            while True:
                started = time.monotonic()
                try:
                    await finish(self._leases.register())
                    await self._balance(await self._leases.count_members())
                except TRANSIENT_ERRORS as error:
                    log.info("shares.bus_trouble", extra={"error": str(error)})
                await self._wait_for_next_round(started + self._leases.renew_interval_s)
        finally:
            await self._stop()

    async def _balance(self, members: int) -> None:
        fair = math.ceil(len(self._keys) / max(members, 1))
        for key in sorted(self._owned)[fair:]:
            await self._release(key)
        for key in self._keys:
            if len(self._owned) >= fair:
                break
            if key not in self._owned:
                await self._try_acquire(key)

    async def _try_acquire(self, key: str) -> None:
        lease = await finish(self._acquire(key))
        if lease is not None:
            self._owned[key] = asyncio.create_task(self._run_work(lease), name=key)

    async def _acquire(self, key: str) -> Lease | None:
        lease = await self._leases.acquire(key)
        if lease is not None:
            # Noted at once: whoever is cancelled meanwhile still gives it back.
            self._held[key] = lease
        return lease

    async def _run_work(self, lease: Lease) -> None:
        work = asyncio.ensure_future(self._work(lease))
        renewal = asyncio.ensure_future(self._leases.renew_until_lost(lease))
        try:
            await asyncio.wait([work, renewal], return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Renewed to the end: the work may still have something to publish.
            work.cancel()
            await asyncio.wait([work])
            renewal.cancel()
            await asyncio.wait([renewal])
            lease.invalidate()
        if not work.cancelled():
            self._on_work_ended(lease, work.exception())

    @staticmethod
    def _on_work_ended(lease: Lease, error: BaseException | None) -> None:
        """Step down from what another owner has or the bus can't tell; fail for anything else."""
        if error is None:
            return
        harmless, others = BaseExceptionGroup(lease.key, [error]).split(
            (Fenced, LeaseLost, *TRANSIENT_ERRORS)
        )
        if others is not None:
            raise error
        log.warning("shares.stepped_down", extra={"key": lease.key, "error": repr(harmless)})

    async def _wait_for_next_round(self, until: float) -> None:
        """Wait for the next round, and notice at once when a key's work has ended."""
        tasks = list(self._owned.values())
        left_s = max(until - time.monotonic(), 0.01)
        if not tasks:
            await asyncio.sleep(left_s)
            return
        done, _ = await asyncio.wait(tasks, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            lease = self._held.pop(task.get_name())
            self._owned.pop(task.get_name()).result()
            # Ours until it expires, unless it has: then this deletes nothing.
            await self._leases.release(lease)

    async def _release(self, key: str) -> None:
        task, lease = self._owned.pop(key, None), self._held.pop(key)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await self._leases.release(lease)

    async def _stop(self) -> None:
        for key in list(self._held):
            await self._release(key)
        await self._leases.unregister()
