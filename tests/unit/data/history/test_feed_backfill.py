from collections.abc import Iterable
from datetime import datetime

import numpy as np
import pytest

from lean_lite.blocks import Block, from_bars
from lean_lite.data import Bars
from lean_lite.data.history.feed_backfill import (
    complete_from_feed,
    merge_stored_and_own,
    missing_range,
)
from lean_lite.model import Resolution, TradeBar
from lean_lite.model.timestamps import SECOND_NS, to_ns
from lean_lite.protocol.history import HistoryRequest
from tests.harness.forex_feed import NIGHT, SYMBOL, CustomForexFeed, rate

MINUTE_NS = 60 * SECOND_NS
START_NS = to_ns(NIGHT)


def stored(numbers: Iterable[int]) -> Block:
    """Return a block as the store sends it, with volumes of 1."""
    block = from_bars([rate(number, volume=1.0) for number in numbers], feed="fx")
    nothing = np.zeros(len(block))
    return block.with_columns(
        level=nothing.astype("|u1") + np.uint8(4),
        reasons=nothing.astype("<u8"),
        seq=nothing.astype("<i8") + 7,
        stored_ns=nothing.astype("<i8") + 1,
    )


def minutes(span: tuple[int, int] | None) -> tuple[float, float] | None:
    return span and ((span[0] - START_NS) / MINUTE_NS, (span[1] - START_NS) / MINUTE_NS)


@pytest.mark.parametrize(
    ("present", "missing"),
    [
        ([], (0, 10)),
        (range(10), None),
        (range(7), (7, 10)),
        (range(3, 10), (0, 3)),
        ([0, 1, 5, 6, 7, 8, 9], (2, 5)),
        ([0, 1, 5, 8, 9], (2, 8)),
        ([5], (0, 10)),
        (range(2, 8), (0, 10)),
    ],
)
def test_the_missing_range_covers_all_gaps(
    present: Iterable[int], missing: tuple[int, int] | None
) -> None:
    span = missing_range(stored(present), START_NS, START_NS + 10 * MINUTE_NS)
    assert minutes(span) == missing


def test_a_start_within_a_minute_is_not_missing() -> None:
    half = MINUTE_NS // 2
    assert missing_range(stored(range(10)), START_NS - half, START_NS + 10 * MINUTE_NS) is None
    tail = missing_range(stored(range(10)), START_NS, START_NS + 10 * MINUTE_NS + half)
    assert minutes(tail) == (10, 10.5)
    assert missing_range(stored([]), START_NS, START_NS) is None


def test_a_stored_bar_replaces_the_feeds_own_bar() -> None:
    own = stored(range(6)).with_columns(volume=np.full(6, 2.0))
    both = merge_stored_and_own(stored([1, 4]), own)
    assert both["volume"].tolist() == [2.0, 1.0, 2.0, 2.0, 1.0, 2.0]
    assert both["start_ns"].tolist() == [START_NS + n * MINUTE_NS for n in range(6)]
    assert both["seq"].tolist() == [0, 7, 0, 0, 7, 0]


class FixedHistory(CustomForexFeed):
    """Returns a list, whatever is requested."""

    async def get_historical_data(
        self, symbol: str, start_date: datetime, end_date: datetime, resolution: Resolution
    ) -> list[TradeBar]:
        return list(self.past)


async def complete(returned: list[TradeBar], present: Iterable[int] = (3, 4)) -> Bars:
    feed = FixedHistory("fx")
    feed.past = returned
    request = HistoryRequest((SYMBOL,), START_NS, START_NS + 10 * MINUTE_NS, feed="fx")
    return await complete_from_feed(Bars(stored(present)), feed, request, timeout_s=1.0)


async def test_the_feeds_own_bars_are_graded_and_in_order() -> None:
    valid = [rate(number) for number in (9, 0, 3, 12, 5)]
    bars = await complete([*valid, rate(1, high=0.5), rate(2, volume=0.0)])
    assert [round((bar.close - 1.1) * 10_000) for bar in bars] == [0, 2, 3, 4, 5, 9]
    # The bar whose high is below its low is INVALID and left out.
    assert bars.block["level"].tolist() == [4, 4, 4, 4, 4, 4]
    assert bars[2].volume == 1.0
    assert bars.gaps == ()


@pytest.mark.parametrize(
    "wrong", [rate(1, "GBP/USD"), rate(1, resolution=Resolution.DAILY), "no bar"]
)
async def test_bars_that_were_not_requested_leave_a_gap_with_the_reason(wrong: TradeBar) -> None:
    bars = await complete([wrong])
    (gap,) = bars.gaps
    assert minutes((gap.start_ns, gap.end_ns)) == (0, 10)
    assert "the feed fx failed" in gap.reason
    assert len(bars) == 2
