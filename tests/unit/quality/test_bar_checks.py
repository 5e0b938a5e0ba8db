import math
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_lite.blocks import Block
from lean_lite.model import DataQualityLevel, Resolution
from lean_lite.model.timestamps import SECOND_NS, to_ns
from lean_lite.protocol.partitions import ASSET_CLASSES
from lean_lite.quality import Check, Grader, failed_checks
from lean_lite.quality.bar_checks import PRICES, check_bars
from tests.harness.bars import MINUTE_NS, NINE_THIRTY_NS, Row, block_of, blocks

END_NS = NINE_THIRTY_NS + MINUTE_NS
SKEW_NS = 2 * SECOND_NS
BIG = 1e9


def hits(asset_class: str = "equity", **changes: Any) -> set[Check]:
    """Return the checks that a good bar fails after some changes."""
    found = check_bars(block_of([Row()._replace(**changes)]), asset_class)
    return {check for check, mask in found.items() if mask[0]}


@pytest.mark.parametrize("asset_class", ASSET_CLASSES)
def test_a_good_bar_passes_every_check(asset_class: str) -> None:
    assert hits(asset_class) == set()


@pytest.mark.parametrize("name", [*PRICES, "volume"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("asset_class", ASSET_CLASSES)
def test_b01_numbers_must_be_finite(name: str, value: float, asset_class: str) -> None:
    assert Check.B01_SCHEMA in hits(asset_class, **{name: value})


def test_b01_the_vwap_may_be_missing_but_not_infinite() -> None:
    assert hits(vwap=math.nan) == set()
    assert hits(vwap=math.inf) == {Check.B01_SCHEMA}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"high": 100.4}, {Check.B02_OHLC}),  # below the close
        ({"open": 101.5}, {Check.B02_OHLC}),  # above the high
        ({"low": 100.1}, {Check.B02_OHLC}),  # above the open
        ({"close": 98.5}, {Check.B02_OHLC}),  # below the low
        ({"low": 101.5}, {Check.B02_OHLC}),  # above the high
        ({"high": 100.5, "low": 100.0}, set()),
    ],
)
def test_b02_the_high_is_highest_and_the_low_lowest(
    changes: dict[str, Any], expected: set[Check]
) -> None:
    assert hits(**changes) == expected


@pytest.mark.parametrize(
    ("asset_class", "price", "within", "beyond"),
    [
        ("equity", 100.0, 0.004, 0.006),
        ("equity", 1.0, 0.004, 0.006),
        ("equity", 0.5, 0.00004, 0.00006),
        ("crypto", 50_000.0, 0.00004, 0.00006),
        ("forex", 1.1, 1e-9, 2e-9),
    ],
)
def test_b02_tolerates_half_a_tick(
    asset_class: str, price: float, within: float, beyond: float
) -> None:
    flat: dict[str, Any] = Row().flat(price, BIG)._asdict()
    for side, sign in (("high", -1), ("low", 1)):
        assert hits(asset_class, **flat | {side: price + sign * within}) == set()
        assert hits(asset_class, **flat | {side: price + sign * beyond}) == {Check.B02_OHLC}


@pytest.mark.parametrize("price", [0.0, -1.0])
@pytest.mark.parametrize("asset_class", ASSET_CLASSES)
def test_b03_prices_are_above_zero(price: float, asset_class: str) -> None:
    assert hits(asset_class, low=price) == {Check.B03_PRICE}
    assert Check.B03_PRICE not in hits(asset_class, low=1e-9)


@pytest.mark.parametrize("asset_class", ASSET_CLASSES)
def test_b04_volume_and_trade_count_are_not_negative(asset_class: str) -> None:
    assert Check.B04_VOLUME in hits(asset_class, volume=-1.0)
    assert Check.B04_VOLUME in hits(asset_class, trade_count=-2)
    assert hits(asset_class, trade_count=-1) == set()  # the feed has none
    assert hits(asset_class, trade_count=0) == set()


def test_b04_the_trade_count_does_not_exceed_the_volume_of_equities() -> None:
    assert hits(volume=10.0, trade_count=10) == set()
    assert hits(volume=10.0, trade_count=11) == {Check.B04_COUNT}
    assert hits(volume=-10.0, trade_count=-1) == {Check.B04_VOLUME}
    assert hits("crypto", volume=0.1, trade_count=11) == set()


def test_b05_zero_volume_fails_for_equities_only() -> None:
    assert hits(volume=0.0, trade_count=0) == {Check.B05_ZERO_VOLUME}
    assert hits("forex", volume=0.0, trade_count=0) == set()
    assert hits("crypto", volume=0.0, trade_count=0, vwap=0.0) == set()
    assert hits(volume=1e-9, trade_count=0) == set()


def test_b10_a_bar_is_not_received_before_its_start() -> None:
    both = {Check.B10_FUTURE, Check.B10_EARLY}
    assert hits(received_ns=NINE_THIRTY_NS - SKEW_NS - 1) == both
    assert hits(received_ns=NINE_THIRTY_NS - SKEW_NS) == {Check.B10_EARLY}


def test_b10_a_bar_is_not_received_before_its_end() -> None:
    assert hits(received_ns=END_NS - SKEW_NS - 1) == {Check.B10_EARLY}
    assert hits(received_ns=END_NS - SKEW_NS) == set()


NEW_YORK = ZoneInfo("America/New_York")
# A Tuesday, a half day (the Friday after Thanksgiving), a Saturday.
TUESDAY, HALF_DAY, SATURDAY = date(2026, 11, 24), date(2026, 11, 27), date(2026, 11, 28)


def in_new_york(day: date, hour: int = 0, minute: int = 0) -> int:
    return to_ns(datetime.combine(day, time(hour, minute), NEW_YORK))


@pytest.mark.parametrize(
    ("day", "length", "received_ns", "is_early"),
    [
        (TUESDAY, "daily", in_new_york(TUESDAY, 18), True),
        (TUESDAY, "daily", in_new_york(TUESDAY, 20), False),
        (HALF_DAY, "daily", in_new_york(HALF_DAY, 16, 59), True),
        (HALF_DAY, "daily", in_new_york(HALF_DAY, 18), False),
        # A day without trading has no end of trading.
        (SATURDAY, "daily", in_new_york(SATURDAY, 23), True),
        (date(2026, 11, 23), "7d", in_new_york(HALF_DAY, 16, 59), True),
        (date(2026, 11, 23), "7d", in_new_york(HALF_DAY, 17), False),
        # Only bars of days end when trading ends.
        (TUESDAY, "12h", in_new_york(TUESDAY, 11, 59), True),
    ],
)
def test_b10_daily_and_longer_bars_of_an_equity_end_when_trading_ends(
    day: date, length: str, received_ns: int, *, is_early: bool
) -> None:
    row = Row(start_ns=in_new_york(day), received_ns=received_ns - SKEW_NS)
    found = check_bars(of_length(length, row, Row(received_ns=0)), "equity")
    assert found[Check.B10_EARLY].tolist() == [is_early, True]
    assert found[Check.B10_FUTURE].tolist() == [False, True]


def test_b10_a_day_that_does_not_start_with_a_trading_day_lasts_24_hours() -> None:
    # Some sources label the days of New York by midnight UTC.
    start_ns = to_ns(datetime(2026, 11, 24, tzinfo=UTC))
    for hours, expected in ((22, True), (24, False)):
        row = Row(start_ns=start_ns, received_ns=start_ns + hours * 3_600 * SECOND_NS)
        assert check_bars(of_length("daily", row), "equity")[Check.B10_EARLY].tolist() == [expected]


@pytest.mark.parametrize("asset_class", ["crypto", "forex"])
def test_b10_a_daily_bar_of_crypto_or_forex_lasts_24_hours(asset_class: str) -> None:
    row = Row(start_ns=in_new_york(TUESDAY), received_ns=in_new_york(TUESDAY, 20))
    assert check_bars(of_length("daily", row), asset_class)[Check.B10_EARLY].tolist() == [True]


def of_length(length: str, *rows: Row) -> Block:
    return msgspec.structs.replace(block_of(rows), resolution=Resolution(length))


@pytest.mark.parametrize("asset_class", ASSET_CLASSES)
@pytest.mark.parametrize(
    ("resolution", "most"), [("minute", 1.5), ("hour", 1.5), ("2h", 3.0), ("daily", 3.0)]
)
def test_b14_a_bar_has_no_extreme_range(asset_class: str, resolution: str, most: float) -> None:
    for high, expected in ((100.0 * most, set()), (100.0 * most + 1, {Check.B14_RANGE})):
        row = Row(low=100.0, high=high, received_ns=NINE_THIRTY_NS + 86_400 * SECOND_NS)
        block = msgspec.structs.replace(block_of([row]), resolution=Resolution(resolution))
        found = check_bars(block, asset_class)
        assert {check for check, mask in found.items() if mask[0]} == expected


def test_every_row_is_checked_on_its_own() -> None:
    good, bad = Row(), Row(low=0.0)
    found = check_bars(block_of([good, bad, good]), "equity")
    assert found[Check.B03_PRICE].tolist() == [False, True, False]


@given(blocks(), st.sampled_from(ASSET_CLASSES))
def test_the_grade_is_the_level_of_the_worst_check(block: Block, asset_class: str) -> None:
    graded = Grader(asset_class).grade(1, block).block
    for level, reasons in zip(graded["level"].tolist(), graded["reasons"].tolist(), strict=True):
        worst = min(
            (check.level for check in failed_checks(reasons) if check.level is not None),
            default=DataQualityLevel.EXCELLENT,
        )
        assert DataQualityLevel.from_code(level) is worst
