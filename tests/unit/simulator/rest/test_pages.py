import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_lite_sim.faults import FaultHistory, Faults
from lean_lite_sim.market.bar import Bar
from lean_lite_sim.market.market import Market
from lean_lite_sim.market.timestamps import MINUTE_NS, parse_instant
from lean_lite_sim.rest.bar_query import parse_bar_query
from lean_lite_sim.rest.page_token import PageToken, decode_page_token, encode_page_token
from lean_lite_sim.rest.pages import BarPages
from lean_lite_sim.timeline import Timeline
from tests.harness.simulator_clients import TODAY

MARKET = Market(TODAY, synthetic=("SYN0000", "SYN0001"))
PAGES = BarPages(MARKET, Timeline(MARKET, FaultHistory(Faults()), 0))
NOW_NS = parse_instant("2026-11-20T15:00:30Z")
BASE = {"symbols": "SYN0001,AAPL,MSFT,SPY", "start": "2026-11-19T20:30:00Z"}


def collect(params: dict[str, str], now_ns: int = NOW_NS) -> list[Bar]:
    found: list[Bar] = []
    token: str | None = ""
    while token is not None:
        query = parse_bar_query({**params, "page_token": token}, "stocks", now_ns)
        bars, token = PAGES.page(query, now_ns)
        assert len(bars) <= query.limit
        found += bars
    return found


@settings(deadline=None, max_examples=60)
@given(
    limit=st.integers(1, 500),
    timeframe=st.sampled_from(["1Min", "5Min", "1Hour", "1Day"]),
    sort=st.sampled_from(["asc", "desc"]),
)
def test_pages_of_any_size_have_the_same_bars(limit: int, timeframe: str, sort: str) -> None:
    params = {**BASE, "timeframe": timeframe, "sort": sort}
    expected = collect({**params, "limit": "10000"})
    assert collect({**params, "limit": str(limit)}) == expected
    ascending = collect({**params, "limit": "10000", "sort": "asc"})
    assert sorted(expected) == ascending
    assert [bar.symbol for bar in expected] == [bar.symbol for bar in ascending]


def test_bars_at_start_and_end_are_included() -> None:
    params = {"symbols": "SPY", "timeframe": "1Min"}
    edges = {"start": "2026-11-19T15:00:00Z", "end": "2026-11-19T15:02:00Z"}
    starts = [bar.start_ns for bar in collect({**params, **edges})]
    first = parse_instant(edges["start"])
    assert starts == [first, first + MINUTE_NS, first + 2 * MINUTE_NS]


@pytest.mark.parametrize("timeframe", ["1Min", "7Min", "1Hour", "1Day"])
def test_only_bars_that_have_ended_are_returned(timeframe: str) -> None:
    bars = collect({"symbols": "SPY", "timeframe": timeframe, "start": "2026-11-01"})
    before = collect({"symbols": "SPY", "timeframe": timeframe, "start": "2026-11-01"}, NOW_NS - 1)
    query = parse_bar_query({"symbols": "SPY", "timeframe": timeframe}, "stocks", NOW_NS)
    assert query.timeframe.end("SPY", bars[-1].start_ns) <= NOW_NS
    assert before == bars
    ends = query.timeframe.end("SPY", bars[-1].start_ns)
    earlier = collect({"symbols": "SPY", "timeframe": timeframe, "start": "2026-11-01"}, ends - 1)
    assert earlier == bars[:-1]


@given(st.integers(0, 9 * 10**18), st.sampled_from("MHD"), st.booleans())
def test_a_token_is_decoded_as_it_was_encoded(start_ns: int, unit: str, descending: bool) -> None:  # noqa: FBT001
    token = PageToken("BRK.B", start_ns)
    text = encode_page_token(token, unit, descending=descending)
    assert decode_page_token(text, unit, descending=descending) == token


@pytest.mark.parametrize("text", ["%", "QQ==", "U1BZfER8MjAyMi0wMS0wM1QwOTowMDowMFo="])
def test_an_invalid_token_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="page_token"):
        decode_page_token(text, "M", descending=False)
