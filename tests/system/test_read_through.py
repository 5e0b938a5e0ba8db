"""Missing history is fetched once, graded, stored and returned."""

import asyncio
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lean_lite.config import Config
from lean_lite.data.history.client import HistorySnapshot, read_through
from lean_lite.data.live import Live
from lean_lite.errors import RequestError
from lean_lite.market.calendar import calendar_of
from lean_lite.model.timestamps import EPOCH, to_ns
from lean_lite.protocol.history import HistoryRequest
from lean_lite.stack import SimulatorOptions
from tests.harness.error_table import shows
from tests.harness.pipeline import VALUES, Pipeline

pytestmark = pytest.mark.system

# Long enough for recorded days on every weekday on which the tests may run.
SPAN = timedelta(days=12)
WAIT_S = 30.0


def request(symbol: str, resolution_s: int = 60, **changes: object) -> HistoryRequest:
    now = datetime.now(UTC)
    given = {"feed": "", **changes}
    return HistoryRequest((symbol,), to_ns(now - SPAN), to_ns(now), resolution_s, **given)  # type: ignore[arg-type]


def rows(snapshot: HistorySnapshot) -> dict[int, tuple[float, ...]]:
    """Return each bar's values by its start; fail on a duplicate."""
    found: dict[int, tuple[float, ...]] = {}
    for block in snapshot.blocks:
        values = zip(*(block[name].tolist() for name in VALUES), strict=True)
        for start, row in zip(block["start_ns"].tolist(), values, strict=True):
            assert start not in found
            found[start] = row
    return found


async def truth(pipeline: Pipeline, symbol: str, until_ns: int) -> dict[int, tuple[float, ...]]:
    recording = await pipeline.recording(symbol)
    first_ns = to_ns(datetime.now(UTC) - SPAN)
    return {
        start: tuple(float(row[name[0]]) for name in VALUES)
        for start, row in recording.items()
        if first_ns <= start < until_ns
    }


async def rest_requests(pipeline: Pipeline) -> int:
    count: int = (await pipeline.ask_simulator("/sim/stats"))["rest_requests"]
    return count


async def feed_now_ns(pipeline: Pipeline) -> int:
    now_ns: int = (await pipeline.ask_simulator("/sim/clock"))["feed_ns"]
    return now_ns


@pytest.fixture
async def pipeline(tmp_path: Path) -> AsyncIterator[Pipeline]:
    """Run a stack whose market is over: every recorded day is in the past."""
    options = SimulatorOptions(speed=1.0, start=datetime.now(UTC).isoformat(), hold=False)
    async with Pipeline(tmp_path / "stack", options=options, strategies=0) as running:
        yield running


async def test_missing_history_is_fetched_once_and_equals_the_recording(
    pipeline: Pipeline,
) -> None:
    history_request = request("AAPL")
    first = await read_through(pipeline.bus, history_request, wait_s=WAIT_S)
    assert rows(first) == await truth(pipeline, "AAPL", history_request.end_ns)
    assert len(rows(first)) > 5 * 390 - 100
    assert first.gaps == ()
    fetched = await rest_requests(pipeline)
    again = await read_through(pipeline.bus, history_request, wait_s=WAIT_S)
    assert rows(again) == rows(first)
    assert await rest_requests(pipeline) == fetched > 0


async def test_concurrent_requests_share_one_fetch(pipeline: Pipeline) -> None:
    answers = await asyncio.gather(
        *(read_through(pipeline.bus, request("SPY"), wait_s=WAIT_S) for _ in range(8))
    )
    assert all(rows(answer) == rows(answers[0]) and rows(answer) for answer in answers)
    # Twelve days are two or three pages.
    assert await rest_requests(pipeline) <= 3


async def test_daily_bars_are_separate_from_minute_bars(pipeline: Pipeline) -> None:
    daily = await read_through(pipeline.bus, request("SPY", 86_400), wait_s=WAIT_S)
    assert 5 <= len(rows(daily)) <= 7
    minutes = await read_through(pipeline.bus, request("SPY"), wait_s=WAIT_S)
    assert not rows(daily).keys() & rows(minutes).keys()


async def test_the_previous_day_is_in_history_when_the_market_opens(tmp_path: Path) -> None:
    options = SimulatorOptions(speed=1.0, start="last", hold=False)
    async with Pipeline(tmp_path / "stack", options=options, strategies=0) as running:
        now_ns = await feed_now_ns(running)
        daily = await read_through(running.bus, request("SPY", 86_400), wait_s=WAIT_S)
    sessions = calendar_of("equity").sessions(now_ns - to_ns(EPOCH + SPAN), now_ns)
    assert max(rows(daily)) == [one.label_ns for one in sessions if one.close_ns <= now_ns][-1]


async def test_a_span_without_bars_is_complete_and_no_gap(pipeline: Pipeline) -> None:
    early = request("FAKEPACA")
    nothing = await read_through(pipeline.bus, early, wait_s=WAIT_S)
    assert (rows(nothing), nothing.gaps) == ({}, ())
    fetched = await rest_requests(pipeline)
    await read_through(pipeline.bus, early, wait_s=WAIT_S)
    assert await rest_requests(pipeline) == fetched


async def test_an_unknown_symbol_is_a_gap_in_every_request(pipeline: Pipeline) -> None:
    for _ in range(2):
        nothing = await read_through(pipeline.bus, request("SPYY"), wait_s=WAIT_S)
        assert rows(nothing) == {}
        assert {gap.symbol for gap in nothing.gaps} == {"SPYY"}
        shows("a symbol that the simulator does not have", nothing.gaps[0].reason)


async def test_an_unserved_feed_is_a_gap_with_its_reason(pipeline: Pipeline) -> None:
    answer = await read_through(pipeline.bus, request("AAPL", feed="sip"), wait_s=WAIT_S)
    assert [gap.symbol for gap in answer.gaps] == ["AAPL"]
    assert "not served by this account" in answer.gaps[0].reason
    too_long = HistoryRequest(("AAPL",), 0, request("AAPL").end_ns)
    with pytest.raises(RequestError, match="7500 days"):
        await read_through(pipeline.bus, too_long, wait_s=WAIT_S)


async def test_a_rest_service_that_fails_leaves_gaps_and_the_next_request_fills_them(
    pipeline: Pipeline,
) -> None:
    pipeline.stack.children["simulator"].send_signal(signal.SIGSTOP)
    progress: list[float] = []
    try:
        late = await read_through(
            pipeline.bus, request("AAPL"), wait_s=2.5, progress=progress.append
        )
    finally:
        pipeline.stack.children["simulator"].send_signal(signal.SIGCONT)
    assert late.gaps
    shows("history that is not fetched in time", late.gaps[0].reason)
    assert progress[0] < 1
    assert progress == sorted(progress)
    history_request = request("AAPL")
    complete = await read_through(pipeline.bus, history_request, wait_s=WAIT_S)
    assert complete.gaps == ()
    assert rows(complete) == await truth(pipeline, "AAPL", history_request.end_ns)


@pytest.mark.parametrize("name", ["ingest", "validate", "store", "nats"])
async def test_a_fetch_completes_when_a_process_is_killed_during_it(
    pipeline: Pipeline, name: str
) -> None:
    pipeline.stack.children["simulator"].send_signal(signal.SIGSTOP)
    history_request = request("SPY")
    fetching = asyncio.ensure_future(read_through(pipeline.bus, history_request, wait_s=60))
    await asyncio.sleep(0.5)
    pipeline.kill(name)
    pipeline.stack.children["simulator"].send_signal(signal.SIGCONT)
    answer = await fetching
    assert answer.gaps == ()
    assert rows(answer) == await truth(pipeline, "SPY", history_request.end_ns)


async def test_bars_received_live_are_not_fetched_again(tmp_path: Path) -> None:
    options = SimulatorOptions(speed=120.0, start="open", hold=True)
    async with Pipeline(tmp_path / "stack", options=options, strategies=0) as pipeline:
        live = Live(pipeline.bus, ("SPY",))
        await live.start()
        try:
            for _ in range(6):
                await anext(live)
            first = await read_through(pipeline.bus, request("SPY"), wait_s=WAIT_S)
            fetched = await rest_requests(pipeline)
            for _ in range(6):
                await anext(live)
            more = await read_through(pipeline.bus, request("SPY"), wait_s=WAIT_S)
        finally:
            await live.stop()
        assert await rest_requests(pipeline) == fetched
        assert rows(first).keys() < rows(more).keys()
        recorded = await truth(pipeline, "SPY", max(rows(more)) + 1)
        assert rows(more) == recorded


def test_the_default_settings_name_the_feed_of_each_class() -> None:
    alpaca = Config().alpaca
    assert [alpaca.feed_of(one) for one in ("equity", "crypto", "forex")] == ["iex", "us", ""]
