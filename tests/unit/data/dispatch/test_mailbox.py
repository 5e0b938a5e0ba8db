import asyncio
from datetime import UTC, datetime

import pytest

from lean_lite.data.dispatch.mailbox import POLICIES, BarUpdate, Mailbox, Policy
from lean_lite.model import DataQualityLevel, TradeBar


class ActiveSource:
    stopped = False


def update(number: int, symbol: str = "SPY") -> BarUpdate:
    bar = TradeBar(symbol, datetime(2026, 11, 23, 15, number, tzinfo=UTC), 1, 1, 1, 1, number)
    return BarUpdate(symbol, bar, DataQualityLevel.GOOD, ActiveSource())


async def drain(mailbox: Mailbox) -> list[float]:
    return [(await mailbox.get()).bar.volume for _ in range(len(mailbox))]


@pytest.mark.parametrize("policy", POLICIES)
async def test_updates_are_returned_in_order(policy: Policy) -> None:
    mailbox = Mailbox(policy, 3)
    for number, symbol in enumerate(("SPY", "AAPL", "MSFT")):
        await mailbox.put(update(number, symbol))
    assert await drain(mailbox) == [0, 1, 2]
    assert mailbox.dropped == 0


async def test_a_full_mailbox_that_blocks_makes_the_producer_wait() -> None:
    mailbox = Mailbox("block", 2)
    producing = asyncio.create_task(put_all(mailbox, 5))
    for number in range(5):
        await asyncio.sleep(0)
        assert len(mailbox) <= 2
        assert (await mailbox.get()).bar.volume == number
    await producing
    assert mailbox.dropped == 0


async def put_all(mailbox: Mailbox, count: int) -> None:
    for number in range(count):
        await mailbox.put(update(number))


async def test_a_full_mailbox_that_drops_removes_the_oldest_update() -> None:
    mailbox = Mailbox("drop_oldest", 2)
    await put_all(mailbox, 5)
    assert await drain(mailbox) == [3, 4]
    assert mailbox.dropped == 3


async def test_latest_replaces_the_previous_update_of_a_symbol() -> None:
    mailbox = Mailbox("latest", 2)
    for number, symbol in enumerate(("SPY", "AAPL", "SPY", "SPY")):
        await mailbox.put(update(number, symbol))
    assert await drain(mailbox) == [3, 1]
    assert mailbox.dropped == 2


async def test_latest_drops_the_oldest_symbol_beyond_the_bound() -> None:
    mailbox = Mailbox("latest", 2)
    for number, symbol in enumerate(("SPY", "AAPL", "MSFT")):
        await mailbox.put(update(number, symbol))
    assert await drain(mailbox) == [1, 2]


async def test_room_is_the_free_space_and_never_zero_for_a_mailbox_that_drops() -> None:
    blocks, drops = Mailbox("block", 40), Mailbox("drop_oldest", 40)
    for mailbox in (blocks, drops):
        assert mailbox.room == 40
        await put_all(mailbox, 40)
    assert (blocks.room, drops.room) == (0, 16)
    small = Mailbox("drop_oldest", 3)
    await put_all(small, 3)
    assert small.room == 1
    assert Mailbox("latest", 3).room > 1_000


async def test_closing_wakes_the_producer_and_drops_all_updates() -> None:
    mailbox = Mailbox("block", 1)
    producing = asyncio.create_task(put_all(mailbox, 3))
    await asyncio.sleep(0)
    mailbox.close()
    await producing
    assert len(mailbox) == 0


def test_invalid_policies_and_bounds_are_refused() -> None:
    with pytest.raises(
        ValueError, match="invalid policy 'newest': use one of block, latest, drop_oldest"
    ):
        Mailbox("newest")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="invalid bound 0"):
        Mailbox("block", 0)
