"""A lease has one holder, whose hold ends before another owner can acquire it."""

import asyncio
import time

from lean_lite.bus import Bus, Leases
from lean_lite.protocol.subjects import LEASES, lease
from tests.harness.marks import BOTH_BROKERS
from tests.harness.waiting import until
from tests.integration.conftest import Join

pytestmark = BOTH_BROKERS

KEY = lease("validate", "5")


async def two_owners(join: Join) -> tuple[Leases, Leases]:
    return (
        Leases(await join("validate"), "validate", "one"),
        Leases(await join("validate"), "validate", "two"),
    )


async def test_a_lease_has_one_holder_and_is_free_at_once_after_its_release(join: Join) -> None:
    one, other = await two_owners(join)
    first = await one.acquire(KEY)
    assert first is not None
    held = [first.held]
    assert await other.acquire(KEY) is None
    assert await one.acquire(KEY) is None
    await one.release(first)
    held.append(first.held)
    assert held == [True, False]
    second = await other.acquire(KEY)
    assert second is not None
    assert second.held
    assert second.revision > first.revision


async def test_a_renewed_lease_is_held_beyond_its_ttl(join: Join, lease_ttl_s: float) -> None:
    one, other = await two_owners(join)
    held = await one.acquire(KEY)
    assert held is not None
    epoch = held.revision
    renewal = asyncio.create_task(one.renew_until_lost(held))
    until_s = time.monotonic() + 2.5 * lease_ttl_s
    while time.monotonic() < until_s:
        assert await other.acquire(KEY) is None
        await asyncio.sleep(0.05)
    assert held.held
    assert held.revision == epoch < held.current
    renewal.cancel()
    await one.release(held)
    assert await other.acquire(KEY) is not None


async def test_the_holder_stops_before_its_key_can_expire(join: Join, lease_ttl_s: float) -> None:
    one, other = await two_owners(join)
    started = time.monotonic()
    first = await one.acquire(KEY)
    assert first is not None
    ended_at: list[float] = []

    async def watch() -> None:
        await until(lambda: not first.held, "the holder to stop")
        ended_at.append(time.monotonic())

    watching = asyncio.create_task(watch())
    second = await until(lambda: other.acquire(KEY), "the key to expire")
    taken_at = time.monotonic()
    await watching
    assert second is not None
    assert not first.held
    assert ended_at[0] <= taken_at
    assert taken_at - started >= lease_ttl_s * 0.9


async def test_at_most_one_acquire_call_succeeds_during_a_release(join: Join) -> None:
    one, other = await two_owners(join)
    for _ in range(100):
        first = await one.acquire(KEY)
        assert first is not None
        tries = [asyncio.create_task(other.acquire(KEY)) for _ in range(8)]
        await one.release(first)
        taken = [second for second in await asyncio.gather(*tries) if second is not None]
        assert len(taken) <= 1
        for second in taken:
            await other.release(second)


async def test_a_lease_taken_by_another_owner_can_not_be_renewed(join: Join) -> None:
    one, other = await two_owners(join)
    first = await one.acquire(KEY)
    assert first is not None
    second = await until(lambda: other.acquire(KEY), "the key to expire")
    assert second is not None
    assert not await one.renew(first)
    # Releasing a lease of another owner has no effect.
    await one.release(first)
    assert await one.acquire(KEY) is None
    assert await other.renew(second)


async def test_renewal_ends_when_another_owner_overwrites_the_lease(join: Join, admin: Bus) -> None:
    one, _ = await two_owners(join)
    held = await one.acquire(KEY)
    assert held is not None
    bucket = await admin.jetstream.key_value(LEASES)
    await bucket.put(KEY, b"another owner")
    async with asyncio.timeout(20):
        await one.renew_until_lost(held)
    assert not held.held


async def test_members_are_counted_per_kind(join: Join) -> None:
    one, other = await two_owners(join)
    another_kind = Leases(await join("ingest"), "ingest", "three")
    await one.register()
    await other.register()
    await another_kind.register()
    assert await one.count_members() == await other.count_members() == 2
    assert await another_kind.count_members() == 1
    await one.unregister()
    assert await other.count_members() == 1
    await until(lambda: _has_no_members(other), "the member without renewals to expire")


async def _has_no_members(leases: Leases) -> bool:
    return await leases.count_members() == 0
