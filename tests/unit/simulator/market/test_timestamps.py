import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_lite_sim.market.timestamps import (
    MINUTE_NS,
    SECOND_NS,
    format_instant,
    format_instant_long,
    parse_instant,
)

INSTANTS = st.integers(0, 4_000_000_000 * SECOND_NS)


@given(INSTANTS)
def test_a_timestamp_is_parsed_as_it_was_formatted(instant_ns: int) -> None:
    assert parse_instant(format_instant(instant_ns)) == instant_ns
    assert parse_instant(format_instant_long(instant_ns)) == instant_ns


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-02", 86_400),
        ("1970-01-01T00:01", 60),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01 00:00:01z", 1),
    ],
)
def test_other_forms_are_parsed(text: str, seconds: int) -> None:
    assert parse_instant(text) == seconds * SECOND_NS


@pytest.mark.parametrize("text", ["", "now", "2026-13-01", "2026-01-01T25:00Z", "20260101"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_instant(text)


def test_whole_seconds_have_no_fraction() -> None:
    assert format_instant(MINUTE_NS) == "1970-01-01T00:01:00Z"
    assert format_instant(SECOND_NS // 2) == "1970-01-01T00:00:00.5Z"
