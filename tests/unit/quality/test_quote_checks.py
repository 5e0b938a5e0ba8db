import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_lite.blocks import QUOTE, Block, Origin, decode_block, encode_block, from_quotes
from lean_lite.model import QuoteBar
from lean_lite.model.timestamps import from_ns
from lean_lite.protocol.partitions import ASSET_CLASSES
from lean_lite.quality import Check, Grader, failed_checks
from lean_lite.quality.quote_checks import PRICES, SIZES, check_quotes
from tests.harness.bars import MINUTE_NS, NINE_THIRTY_NS

BID = {"bid_open": 99.9, "bid_high": 100.4, "bid_low": 99.5, "bid_close": 100.0, "bid_size": 5.0}
ASK = {"ask_open": 100.0, "ask_high": 100.6, "ask_low": 99.7, "ask_close": 100.1, "ask_size": 7.0}
NO_BID = dict.fromkeys(BID, 0.0)
GOOD = msgspec.convert(BID | ASK | {"symbol": "SPY", "timestamp": from_ns(0)}, QuoteBar)


def block_of(*changes: dict[str, float], received_ns: int = NINE_THIRTY_NS + MINUTE_NS) -> Block:
    """Return good quotes after some changes, one minute after the other."""
    quotes = [
        msgspec.structs.replace(
            GOOD, timestamp=from_ns(NINE_THIRTY_NS + minute * MINUTE_NS), **change
        )
        for minute, change in enumerate(changes)
    ]
    return from_quotes(quotes, feed="sip", received_ns=received_ns)


def hits(asset_class: str = "equity", /, **changes: float) -> set[Check]:
    """Return the checks that a good quote fails after some changes."""
    found = check_quotes(block_of(changes), asset_class)
    return {check for check, mask in found.items() if mask[0]}


@pytest.mark.parametrize("asset_class", ASSET_CLASSES)
def test_a_good_quote_passes_every_check(asset_class: str) -> None:
    assert hits(asset_class) == set()


@pytest.mark.parametrize("name", [*PRICES, *SIZES])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_b01_numbers_must_be_finite(name: str, value: float) -> None:
    assert Check.B01_SCHEMA in hits(**{name: value})


@pytest.mark.parametrize("side", ["bid", "ask"])
def test_b02_each_side_is_consistent(side: str) -> None:
    assert Check.B02_OHLC in hits(**{f"{side}_high": 99.6, f"{side}_low": 99.5})
    assert Check.B02_OHLC in hits(**{f"{side}_low": 100.3})


def test_b03_b04_prices_and_sizes_are_not_negative() -> None:
    assert Check.B03_PRICE in hits(bid_low=-0.01)
    assert hits(ask_size=-1.0) == {Check.B04_VOLUME}


def test_q01_one_side_may_be_empty() -> None:
    assert hits(**NO_BID) == {Check.Q01_ONE_SIDED}


@pytest.mark.parametrize(
    ("bid", "check"),
    [
        (100.1, Check.Q02_LOCKED),
        (100.3, Check.Q02_OVERLAPPING),
        (101.0, Check.Q02_OVERLAPPING),
        (101.2, Check.Q02_CROSSED),
    ],
)
def test_q02_a_bid_is_below_its_ask(bid: float, check: Check) -> None:
    assert hits(bid_high=bid, bid_close=bid) == {check}


def test_q03_a_spread_is_narrow() -> None:
    wide = {"ask_high": 111.0, "ask_close": 110.0}
    assert hits(**wide) == set()
    assert hits(**wide | {"ask_close": 111.0}) == {Check.Q03_WIDE}


@pytest.mark.parametrize("name", SIZES)
def test_q06_a_price_has_a_size(name: str) -> None:
    assert hits(**{name: 0.0}) == {Check.Q06_SIZE}


def test_b10_a_quote_is_not_received_before_its_start() -> None:
    found = check_quotes(block_of({}, received_ns=NINE_THIRTY_NS - MINUTE_NS), "equity")
    assert found[Check.B10_FUTURE].all()
    assert found[Check.B10_EARLY].all()


def test_quotes_are_compared_with_the_previous_one() -> None:
    far = dict.fromkeys((*PRICES, *SIZES), 210.0) | {"ask_high": 210.1, "ask_close": 210.1}
    block = block_of({}, far, {}, received_ns=NINE_THIRTY_NS + 9 * MINUTE_NS)
    graded = Grader("equity").grade(1, block).block
    assert [failed_checks(mask) for mask in graded["reasons"].tolist()] == [
        [],
        [Check.S08_STEP],
        [Check.S08_STEP],
    ]
    assert graded["level"].tolist() == [4, 1, 1]


def test_a_new_side_is_not_a_step() -> None:
    block = block_of(NO_BID, {}, received_ns=NINE_THIRTY_NS + 9 * MINUTE_NS)
    graded = Grader("equity").grade(1, block).block
    assert failed_checks(int(graded["reasons"][1])) == []


def test_quotes_survive_the_wire() -> None:
    block = block_of({}, NO_BID)
    again = decode_block(encode_block(block))
    assert again.kind == QUOTE
    assert again.symbols == ("SPY",)
    for name in QUOTE.required:
        assert again[name].tolist() == block[name].tolist()
    assert again["origin"].tolist() == [Origin.CUSTOM] * 2


def test_no_quotes_are_a_block_without_rows() -> None:
    assert len(from_quotes([], feed="sip")) == 0
    assert from_quotes([], feed="sip").kind is QUOTE


@given(
    st.fixed_dictionaries({name: st.floats() for name in (*PRICES, *SIZES)}),
    st.sampled_from(ASSET_CLASSES),
)
def test_any_numbers_get_a_grade(values: dict[str, Any], asset_class: str) -> None:
    graded = Grader(asset_class).grade(1, block_of(values)).block
    finite = all(map(math.isfinite, values.values()))
    assert finite == (Check.B01_SCHEMA not in failed_checks(int(graded["reasons"][0])))
    assert finite or graded["level"][0] == 0
