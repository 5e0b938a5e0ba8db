"""LeaseBalancer: share keys evenly among the members of a service, by lease."""

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
    Acquires a fair share of a set of keys and runs `work` for each of them.

    Every member does so without a coordinator: it counts the members, releases keys above its
    share and acquires free ones below it. `work` is cancelled when the lease is lost or released.
    When it fails because another owner has the key or the bus is unavailable, the key is released
    and acquired again later; any other error ends `run`.
    """

    def __init__(
        self,
        leases: Leases,
        keys: Iterable[str],
        work: Callable[[Lease], Awaitable[None]],
    ) -> None:
        self._leases = leases
        self._keys = tuple(keys)
        self._work = work
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._held: dict[str, Lease] = {}

    @property
    def owned(self) -> frozenset[str]:
        """Keys whose lease this member holds."""
        return frozenset(key for key, lease in self._held.items() if lease.held)

    async def run(self) -> None:
        """Acquire, renew and release leases until cancelled; then release all of them."""
        try:
            while True:
                started = time.monotonic()
                try:
                    # Shielded: a registration that reaches the server after `unregister` would
                    # announce a member that does not exist.
                    await finish(self._leases.register())
                    await self._balance(await self._leases.count_members())
                except TRANSIENT_ERRORS as error:
                    log.info("balancer.bus_unavailable", extra={"error": str(error)})
                await self._wait_for_next_round(started + self._leases.renew_interval_s)
        finally:
            await self._stop()

    async def _balance(self, members: int) -> None:
        fair_share = math.ceil(len(self._keys) / max(members, 1))
        for key in sorted(self._tasks)[fair_share:]:
            await self._release(key)
        for key in self._keys:
            if len(self._tasks) >= fair_share:
                break
            if key not in self._tasks:
                await self._try_acquire(key)

    async def _try_acquire(self, key: str) -> None:
        lease = await finish(self._acquire(key))
        if lease is not None:
            self._tasks[key] = asyncio.create_task(self._run_work(lease), name=key)

    async def _acquire(self, key: str) -> Lease | None:
        lease = await self._leases.acquire(key)
        if lease is not None:
            # In the shielded part, so that a cancelled `run` finds the lease and releases it.
            self._held[key] = lease
        return lease

    async def _run_work(self, lease: Lease) -> None:
        work = asyncio.ensure_future(self._work(lease))
        renewal = asyncio.ensure_future(self._leases.renew_until_lost(lease))
        try:
            await asyncio.wait([work, renewal], return_when=asyncio.FIRST_COMPLETED)
        finally:
            # The lease is renewed until the work has ended: a cancelled work may still publish
            # what is queued.
            work.cancel()
            await asyncio.wait([work])
            renewal.cancel()
            await asyncio.wait([renewal])
            lease.invalidate()
        if not work.cancelled():
            self._on_work_ended(lease, work.exception())

    @staticmethod
    def _on_work_ended(lease: Lease, error: BaseException | None) -> None:
        """Log an error that only concerns the ownership of the key; raise any other."""
        if error is None:
            return
        ownership, others = BaseExceptionGroup(lease.key, [error]).split(
            (Fenced, LeaseLost, *TRANSIENT_ERRORS)
        )
        if others is not None:
            raise error
        log.warning("lease.lost", extra={"key": lease.key, "error": repr(ownership)})

    async def _wait_for_next_round(self, until: float) -> None:
        """Wait for the next round; release a key as soon as its work has ended."""
        tasks = list(self._tasks.values())
        left_s = max(until - time.monotonic(), 0.01)
        if not tasks:
            await asyncio.sleep(left_s)
            return
        done, _ = await asyncio.wait(tasks, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            lease = self._held.pop(task.get_name())
            self._tasks.pop(task.get_name()).result()
            # If the lease has expired meanwhile, another owner may have the key: then this purges
            # nothing, because that owner's revision is higher.
            await self._leases.release(lease)

    async def _release(self, key: str) -> None:
        task, lease = self._tasks.pop(key, None), self._held.pop(key)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await self._leases.release(lease)

    async def _stop(self) -> None:
        for key in list(self._held):
            await self._release(key)
        await self._leases.unregister()
