import asyncio
from datetime import UTC, datetime

import pytest

from lean_lite.data.dispatch.mailbox import POLICIES, BarUpdate, Mailbox, Policy
from lean_lite.model import DataQualityLevel, TradeBar


class Origin:
    stopped = False


def update(number: int, symbol: str = "SPY") -> BarUpdate:
    bar = TradeBar(symbol, datetime(2026, 11, 23, 15, number, tzinfo=UTC), 1, 1, 1, 1, number)
    return BarUpdate(symbol, bar, DataQualityLevel.GOOD, Origin())


async def everything(mailbox: Mailbox) -> list[float]:
    return [(await mailbox.get()).bar.volume for _ in range(len(mailbox))]


@pytest.mark.parametrize("policy", POLICIES)
async def test_what_fits_comes_in_order(policy: Policy) -> None:
    mailbox = Mailbox(policy, 3)
    for number, symbol in enumerate(("SPY", "AAPL", "MSFT")):
        await mailbox.put(update(number, symbol))
    assert await everything(mailbox) == [0, 1, 2]
    assert mailbox.dropped == 0


async def test_a_full_one_that_blocks_holds_the_sender() -> None:
    mailbox = Mailbox("block", 2)
    sending = asyncio.create_task(send(mailbox, 5))
    for number in range(5):
        await asyncio.sleep(0)
        assert len(mailbox) <= 2
        assert (await mailbox.get()).bar.volume == number
    await sending
    assert mailbox.dropped == 0


async def send(mailbox: Mailbox, count: int) -> None:
    for number in range(count):
        await mailbox.put(update(number))


async def test_a_full_one_that_drops_lets_the_oldest_go() -> None:
    mailbox = Mailbox("drop_oldest", 2)
    await send(mailbox, 5)
    assert await everything(mailbox) == [3, 4]
    assert mailbox.dropped == 3


async def test_the_latest_of_every_symbol_is_kept_in_its_place() -> None:
    mailbox = Mailbox("latest", 2)
    for number, symbol in enumerate(("SPY", "AAPL", "SPY", "SPY")):
        await mailbox.put(update(number, symbol))
    assert await everything(mailbox) == [3, 1]
    assert mailbox.dropped == 2


async def test_more_symbols_than_there_is_room_for_let_the_oldest_go() -> None:
    mailbox = Mailbox("latest", 2)
    for number, symbol in enumerate(("SPY", "AAPL", "MSFT")):
        await mailbox.put(update(number, symbol))
    assert await everything(mailbox) == [1, 2]


async def test_one_that_blocks_has_as_much_room_as_is_left_and_one_that_drops_never_none() -> None:
    blocks, drops = Mailbox("block", 40), Mailbox("drop_oldest", 40)
    for mailbox in (blocks, drops):
        assert mailbox.room == 40
        await send(mailbox, 40)
    assert (blocks.room, drops.room) == (0, 16)
    few = Mailbox("drop_oldest", 3)
    await send(few, 3)
    assert few.room == 1
    assert Mailbox("latest", 3).room > 1_000


async def test_a_closed_one_frees_its_sender_and_keeps_nothing() -> None:
    mailbox = Mailbox("block", 1)
    sending = asyncio.create_task(send(mailbox, 3))
    await asyncio.sleep(0)
    mailbox.close()
    await sending
    assert len(mailbox) == 0


def test_other_policies_and_bounds_are_refused() -> None:
    with pytest.raises(ValueError, match="use one of block, latest, drop_oldest"):
        Mailbox("newest")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="room for one bar at least"):
        Mailbox("block", 0)
