import asyncio
from collections.abc import AsyncIterator, Sequence

from lean_lite.blocks import Origin
from lean_lite.data.streams.corrections import CorrectionHold
from lean_lite.protocol.live import LiveBar
from tests.harness.bars import MINUTE_NS, NINE_THIRTY_NS, live_bar


def bar(minute: int, volume: float = 1.0, symbol: str = "SPY", **more: object) -> LiveBar:
    start_ns = NINE_THIRTY_NS + minute * MINUTE_NS
    return live_bar(symbol=symbol, start_ns=start_ns, volume=volume, **more)


def corrected(minute: int, volume: float) -> LiveBar:
    return bar(minute, volume, origin=Origin.UPDATED, late=True)


async def live_stream(*records: LiveBar, open_end: bool = False) -> AsyncIterator[LiveBar]:
    for record in records:
        yield record
    if open_end:
        await asyncio.Event().wait()


async def released(records: Sequence[LiveBar]) -> list[tuple[str, int, float]]:
    return [
        (one.symbol, (one.start_ns - NINE_THIRTY_NS) // MINUTE_NS, one.volume)
        async for one in CorrectionHold().hold(live_stream(*records))
    ]


async def test_a_bar_is_released_with_its_correction_by_the_next_minute() -> None:
    records = [bar(0), corrected(0, 2.0), bar(1), bar(2), corrected(1, 9.0), corrected(2, 3.0)]
    assert await released([*records, bar(3)]) == [
        ("SPY", 0, 2.0),
        # Its correction came too late: a revision, which the deduplicator drops.
        ("SPY", 1, 1.0),
        ("SPY", 1, 9.0),
        ("SPY", 2, 3.0),
    ]


async def test_the_next_minute_of_another_symbol_releases_held_bars() -> None:
    records = [bar(0), bar(0, symbol="AAPL"), bar(1, symbol="AAPL")]
    assert await released(records) == [("SPY", 0, 1.0), ("AAPL", 0, 1.0)]


async def test_a_refill_releases_nothing_and_is_released_by_the_next_live_bar() -> None:
    refill = [bar(minute, origin=Origin.BACKFILL, late=True) for minute in range(3)]
    assert await released(refill) == []
    assert await released([*refill, bar(3)]) == [("SPY", minute, 1.0) for minute in range(3)]


async def test_refetched_live_bars_release_held_bars_like_live_ones() -> None:
    assert await released([bar(0, late=True), bar(1, late=True)]) == [("SPY", 0, 1.0)]


async def test_a_silent_stream_releases_all_held_bars() -> None:
    held = CorrectionHold(silent_s=0.05)
    stream = held.hold(live_stream(bar(0), corrected(0, 2.0), bar(1), open_end=True))
    got = [(await asyncio.wait_for(anext(stream), 5)).volume for _ in range(2)]
    assert got == [2.0, 1.0]
    assert list(held) == []
    await stream.aclose()


async def test_held_bars_can_be_iterated() -> None:
    held = CorrectionHold()
    stream = held.hold(live_stream(bar(0), bar(0, symbol="AAPL"), bar(1), open_end=True))
    assert (await anext(stream)).symbol == "SPY"
    assert [(one.symbol, one.start_ns) for one in held] == [
        ("AAPL", NINE_THIRTY_NS),
        ("SPY", NINE_THIRTY_NS + MINUTE_NS),
    ]
    await stream.aclose()
