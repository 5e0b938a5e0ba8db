"""Members share keys evenly; each key has one worker at most when members join, leave or fail."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest

from lean_lite.bus import Bus, Lease, LeaseBalancer, Leases
from lean_lite.errors import Fenced
from lean_lite.protocol.subjects import LEASES, MEMBERS, lease
from tests.harness.relay import Relay
from tests.harness.waiting import until
from tests.integration.conftest import Join

KEYS = [lease("validate", str(number)) for number in range(16)]
Work = Callable[[Lease], Awaitable[None]]


class Member:
    """One owner and the workers of its keys; a key is owned while its lease is held."""

    def __init__(self, bus: Bus, name: str, work: Work | None = None) -> None:
        self.working: dict[str, Lease] = {}
        self.started: Counter[str] = Counter()
        self._extra_work = work
        self.balancer = LeaseBalancer(Leases(bus, "validate", name), KEYS, self._work)
        self.task = asyncio.create_task(self.balancer.run())

    @property
    def owned(self) -> frozenset[str]:
        return frozenset(key for key, lease in self.working.items() if lease.held)

    async def _work(self, lease: Lease) -> None:
        self.started[lease.key] += 1
        self.working[lease.key] = lease
        try:
            if self._extra_work is not None:
                await self._extra_work(lease)
            await asyncio.Event().wait()
        finally:
            del self.working[lease.key]

    async def leave(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


Enter = Callable[..., Awaitable[Member]]


@pytest.fixture
async def enter(join: Join) -> AsyncIterator[Enter]:
    members: list[Member] = []

    async def enter(work: Work | None = None, **settings: object) -> Member:
        bus = await join("validate", **settings)
        members.append(Member(bus, f"member-{len(members)}", work))
        return members[-1]

    yield enter
    for member in members:
        if not member.task.done():
            await member.leave()


def shared(*members: Member) -> bool:
    """Return whether members own all keys evenly; fail if two own the same key."""
    counts = [len(member.owned) for member in members]
    together = frozenset[str]().union(*(member.owned for member in members))
    assert len(together) == sum(counts), "a key has two workers"
    return len(together) == len(KEYS) and max(counts) <= -(-len(KEYS) // len(members))


async def test_members_share_the_keys_evenly_when_they_join(enter: Enter) -> None:
    first = await enter()
    await until(lambda: shared(first), "the only member to own all keys")
    second = await enter()
    await until(lambda: shared(first, second), "two members to share the keys")
    assert len(first.owned) == len(second.owned) == 8
    third = await enter()
    await until(lambda: shared(first, second, third), "three members to share the keys")
    assert max(len(member.owned) for member in (first, second, third)) == 6
    for member in (first, second, third):
        assert member.balancer.owned == member.owned


@pytest.mark.parametrize("lease_ttl_s", [12.0])
async def test_a_member_that_leaves_hands_over_at_once(enter: Enter, lease_ttl_s: float) -> None:
    first, second = await enter(), await enter()
    await until(lambda: shared(first, second), "two members to share the keys")
    left_at = time.monotonic()
    await second.leave()
    await until(lambda: shared(first), "the other member to take over")
    # After one balancing round, not after the lease time.
    assert time.monotonic() - left_at < lease_ttl_s * 0.9


@pytest.mark.parametrize("lease_ttl_s", [1.5])
async def test_a_member_that_leaves_during_a_request_leaves_no_lease(
    enter: Enter, admin: Bus, lease_ttl_s: float
) -> None:
    chance = random.Random(5)
    for _ in range(12):
        member = await enter()
        # Balancing and renewal run every third of the lease time: leave at that moment.
        await asyncio.sleep(lease_ttl_s / 3 * chance.randrange(3) + chance.uniform(0, 0.02))
        await member.leave()
        for bucket in (LEASES, MEMBERS):
            state = (await admin.jetstream.stream_info(f"KV_{bucket}")).state
            assert state.messages == 0


async def test_a_disconnected_member_is_replaced_when_its_leases_expire(
    enter: Enter, relay: Relay, lease_ttl_s: float
) -> None:
    first = await enter()
    second = await enter(url=relay.url, request_timeout_s=1.0)
    await until(lambda: shared(first, second), "two members to share the keys")
    await relay.close()

    def taken_over() -> bool:
        assert not first.owned & second.owned
        return len(first.owned) == len(KEYS)

    await until(taken_over, "the first member to own all keys again")
    await relay.open()
    await until(lambda: shared(first, second), "the disconnected member to come back")
    await second.leave()


async def test_a_fenced_worker_stops_and_is_started_again(enter: Enter) -> None:
    async def fenced_once(lease: Lease) -> None:
        if lease.key in KEYS[:3] and member.started[lease.key] == 1:
            raise Fenced(lease.key, 1, 2)

    member = await enter(fenced_once)
    await until(lambda: shared(member), "all keys to have a worker")
    assert [member.started[key] for key in KEYS] == [2] * 3 + [1] * 13
    assert not member.task.done()


async def test_fenced_inside_an_exception_group_counts_as_fenced(enter: Enter) -> None:
    async def fenced_lanes(lease: Lease) -> None:
        if member.started[lease.key] == 1:
            errors = [Fenced(lease.key, 1, 2), ConnectionError()]
            raise ExceptionGroup("lanes", errors)

    member = await enter(fenced_lanes)
    await until(lambda: shared(member), "all keys to have a worker")
    assert not member.task.done()


async def test_another_error_in_a_worker_ends_the_run_and_releases_all_leases(
    enter: Enter,
) -> None:
    async def broken(lease: Lease) -> None:
        if lease.key == KEYS[7]:
            await asyncio.sleep(0.2)
            raise ZeroDivisionError(lease.key)

    member = await enter(broken)
    with pytest.raises(ZeroDivisionError, match=KEYS[7]):
        await asyncio.wait_for(member.task, 30)
    assert not member.working
    assert not member.balancer.owned
    next_member = await enter()
    await until(lambda: shared(next_member), "the next member to own all keys")
