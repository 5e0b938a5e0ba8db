"""A strategy gets each bar once and in order, also when the bus loses messages."""

import asyncio
import random

import pytest

from lean_lite.data import Live
from lean_lite.data.live.sequencer import PENDING_FRAMES
from lean_lite.protocol.live import LiveBar, Watermark
from lean_lite.protocol.partitions import lane_of
from lean_lite.protocol.subjects import live_bar as live_bar_subject
from lean_lite.protocol.subjects import watermark
from tests.harness.bars import MINUTE_NS, live_bar
from tests.harness.frames import Feeder, bars, raw_frame
from tests.harness.marks import BOTH_BROKERS
from tests.harness.relay import Relay
from tests.harness.services import Process, Services
from tests.harness.waiting import until
from tests.integration.conftest import Join
from tests.integration.data.conftest import Follow

pytestmark = BOTH_BROKERS

WATERMARK_SUBJECT = watermark(lane_of("SPY"))
SYMBOLS = ("AAPL", "MSFT", "BTC/USD")
LIMIT_S = 60.0


async def take(live: Live, count: int) -> list[LiveBar]:
    """Return `count` bars; after a timeout, the error says how many came."""
    got: list[LiveBar] = []
    try:
        async with asyncio.timeout(LIMIT_S):
            while len(got) < count:
                got.append(await anext(live))
    except TimeoutError as error:
        raise AssertionError(f"{len(got)} bars instead of {count}") from error
    return got


def starts(got: list[LiveBar], symbol: str) -> list[int]:
    return [bar.start_ns for bar in got if bar.symbol == symbol]


def minutes(symbol: str, numbers: range) -> list[int]:
    found: list[int] = bars(symbol, numbers)["start_ns"].tolist()
    return found


async def feed(feeder: Feeder, numbers: range) -> None:
    for number in numbers:
        for symbol in SYMBOLS:
            await feeder.bars(symbol, [number])


async def test_new_bars_arrive_once_and_in_order(follow: Follow, feeder: Feeder) -> None:
    await feed(feeder, range(10))
    live = await follow(*SYMBOLS)
    assert (live.accepted, live.refused) == (SYMBOLS, {})
    await feed(feeder, range(10, 60))
    # Bars published before the start may still be in validate or store.
    got: list[LiveBar] = []
    while any(minutes(symbol, range(59, 60))[0] not in starts(got, symbol) for symbol in SYMBOLS):
        got += await take(live, 1)
    for symbol in SYMBOLS:
        received = starts(got, symbol)
        assert received == sorted(set(received))
        assert received[-50:] == minutes(symbol, range(10, 60))
    truth = bars("AAPL", range(10, 60))
    close = [bar.close for bar in got if bar.symbol == "AAPL"]
    assert close[-50:] == truth["close"].tolist()


async def test_an_empty_after_begins_with_the_first_stored_bar(
    follow: Follow, feeder: Feeder
) -> None:
    await feed(feeder, range(40))
    live = await follow(*SYMBOLS, after={})
    await feed(feeder, range(40, 60))
    got = await take(live, 60 * len(SYMBOLS))
    for symbol in SYMBOLS:
        assert starts(got, symbol) == minutes(symbol, range(60))
    assert live.refetched > 0


async def test_a_restarted_strategy_resumes_where_it_stopped(
    follow: Follow, feeder: Feeder
) -> None:
    first = await follow(*SYMBOLS, after={})
    await feed(feeder, range(20))
    before = await take(first, 20 * len(SYMBOLS))
    await until(lambda: first.behind == 0 and len(first.done) == 3, "all lanes")
    done = first.done
    await first.stop()
    await feed(feeder, range(20, 40))
    second = await follow(*SYMBOLS, after=done)
    after = await take(second, 20 * len(SYMBOLS))
    for symbol in SYMBOLS:
        assert starts(before, symbol) == minutes(symbol, range(20))
        assert starts(after, symbol) == minutes(symbol, range(20, 40))


async def test_a_burst_after_a_late_bar_makes_no_store_request(join: Join, follow: Follow) -> None:
    live, validate = await follow("SPY"), await join("validate")
    # The markers of all lanes have earlier sequences.
    first_seq, count = live.done[str(lane_of("SPY"))] + 1, 2 * PENDING_FRAMES
    seqs = range(first_seq, first_seq + count)
    records = [live_bar(seq=seq, start_ns=seq * MINUTE_NS) for seq in seqs]

    async def publish_watermark(record: LiveBar) -> None:
        await validate.publish_message(
            WATERMARK_SUBJECT, Watermark(record.seq, record.seq - 1, {"SPY": 1})
        )

    await publish_watermark(records[0])
    await validate.flush()
    for record in records:
        await validate.publish_message(live_bar_subject("SPY"), record)
        await publish_watermark(record)
    assert await take(live, count) == records
    assert live.refetched == 0


@pytest.mark.parametrize("lost", ["bars", "heads", "either"])
async def test_lost_messages_are_fetched_again(
    lost: str, join: Join, follow: Follow, feeder: Feeder, relay: Relay
) -> None:
    chance = random.Random(9)
    roots = {"bars": "md.live.bar.", "heads": "md.live.frame.", "either": "md.live."}

    def lose(subject: str, payload: bytes) -> bool:
        return subject.startswith(roots[lost]) and chance.random() < 0.3

    live = await follow(*SYMBOLS, bus=await join("client", url=relay.url), after={})
    await feed(feeder, range(10))
    await take(live, 10 * len(SYMBOLS))
    relay.lose = lose
    await feed(feeder, range(10, 80))
    got = await take(live, 70 * len(SYMBOLS))
    for symbol in SYMBOLS:
        assert starts(got, symbol) == minutes(symbol, range(10, 80))
    assert len(relay.lost) > 20
    assert live.refetched > 0
    assert live.behind == 0


async def test_a_disconnected_strategy_gets_the_missed_bars(
    join: Join, follow: Follow, feeder: Feeder, relay: Relay
) -> None:
    live = await follow(*SYMBOLS, bus=await join("client", url=relay.url), after={})
    await feed(feeder, range(10))
    await take(live, 10 * len(SYMBOLS))
    await relay.close()
    await feed(feeder, range(10, 40))
    await relay.open()
    await feed(feeder, range(40, 50))
    got = await take(live, 40 * len(SYMBOLS))
    for symbol in SYMBOLS:
        assert starts(got, symbol) == minutes(symbol, range(10, 50))


async def test_bars_continue_after_validate_is_killed(
    follow: Follow, feeder: Feeder, validate: Process, services: Services
) -> None:
    live = await follow(*SYMBOLS, after={})
    await feed(feeder, range(20))
    await validate.kill()
    await feed(feeder, range(20, 40))
    services.start("validate", validate={"watermark_every_s": 0.5})
    await feed(feeder, range(40, 50))
    got = await take(live, 50 * len(SYMBOLS))
    for symbol in SYMBOLS:
        assert starts(got, symbol) == minutes(symbol, range(50))


async def test_an_invalid_bar_is_not_delivered(follow: Follow, feeder: Feeder) -> None:
    live = await follow("AAPL", after={})
    await feeder.publish(raw_frame("AAPL", bars("AAPL", range(20), invalid=[3, 4, 17])))
    await feeder.bars("AAPL", range(20, 25))
    got = await take(live, 22)
    wrong = {minutes("AAPL", range(number, number + 1))[0] for number in (3, 4, 17)}
    assert starts(got, "AAPL") == [s for s in minutes("AAPL", range(25)) if s not in wrong]
    assert live.behind == 0


async def test_the_queue_of_a_slow_reader_is_bounded_and_no_bar_is_lost(
    follow: Follow, feeder: Feeder
) -> None:
    bound, frame = 50, 10
    live = await follow("AAPL", after={}, queue=bound)
    # A reply of the store is queued as a whole; live bars after it are not.
    await feeder.bars("AAPL", range(frame))
    await until(lambda: live.behind == frame, "the first frame")
    most = 0
    for first in range(frame, 1_000, frame):
        await feeder.bars("AAPL", range(first, first + frame))
        most = max(most, live.behind)
    await until(lambda: live.behind >= bound, "the queue to fill")
    got: list[LiveBar] = []
    async with asyncio.timeout(LIMIT_S):
        while len(got) < 1_000:
            most = max(most, live.behind)
            got.append(await anext(live))
    assert starts(got, "AAPL") == minutes("AAPL", range(1_000))
    assert bound <= most
    # The first frame above the bound may be queued completely.
    assert most < bound + frame, f"{most} bars waited in a queue of {bound}"
