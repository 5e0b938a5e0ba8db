"""The Quick Start of the README, on a machine without a running stack."""

import asyncio
import json
import re
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lean_lite.config import Config
from lean_lite.data import AlpacaDataFeed, DataCache, DataEngine
from lean_lite.errors import FeedError
from lean_lite.market.calendar import calendar_of
from lean_lite.model.timestamps import to_ns
from tests.docs.runner import await_end, blocks, run, settings_of
from tests.harness.waiting import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

MINUTE_NS = 60_000_000_000


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Use a folder of its own, no keys, and the simulator."""
    for name, text in settings_of(tmp_path).items():
        monkeypatch.setenv(name, text)
    for name in ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    yield tmp_path
    await_end(tmp_path)


class Market:
    """Send requests to the simulator of the running stack."""

    def __init__(self, home: Path) -> None:
        lines = (home / "demo" / "logs" / "simulator.log").read_text("utf-8").splitlines()
        starts = [json.loads(line) for line in lines if line.startswith('{"rest_url"')]
        self._url = starts[-1]["rest_url"]

    async def ask(self, path: str) -> Any:
        url = self._url + path
        data = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=10).read())
        return json.loads(data)

    async def recording(self, symbol: str, start_ns: int, end_ns: int) -> dict[int, float]:
        """Return the close by start."""
        rows = (await self.ask(f"/sim/recording?symbol={symbol}"))["bars"]
        return {row["start_ns"]: row["c"] for row in rows if start_ns <= row["start_ns"] < end_ns}


async def test_the_readmes_quick_start_runs_as_written(home: Path) -> None:
    source = blocks("README.md", "python")[0]
    async with DataEngine() as keeper:
        market = Market(home)
        now = datetime.now(UTC)
        started_ns = (await market.ask("/sim/clock"))["feed_ns"]
        out = await asyncio.to_thread(run, source, home)
        ended_ns = (await market.ask("/sim/clock"))["feed_ns"]
        found = re.fullmatch(r"Retrieved (\d+) historical bars\n", out)
        assert found is not None
        since_ns = to_ns(now - timedelta(days=7))
        # The last minutes are not final yet: they come live, or with the next request.
        final_ns = started_ns - 3 * MINUTE_NS
        least = await market.recording("AAPL", since_ns + MINUTE_NS, final_ns)
        most = await market.recording("AAPL", since_ns, ended_ns)
        assert 1_000 < len(least) <= int(found[1]) <= len(most)
        assert keeper.feeds == {}


async def test_the_quick_start_starts_and_ends_the_stack_by_itself(home: Path) -> None:
    out = await asyncio.to_thread(run, blocks("README.md", "python")[0], home)
    assert re.fullmatch(r"Retrieved \d{4,} historical bars\n", out)


async def test_history_equals_the_recording_and_is_fetched_once(home: Path) -> None:
    config = Config()
    engine = DataEngine(config, cache=DataCache(cache_dir=home / "cache"))
    engine.add_feed(AlpacaDataFeed("alpaca_main", config))
    done: list[float] = []
    async with asyncio.timeout(30):
        await engine.start()
    try:
        market = Market(home)
        # Before the simulator's day, so that every bar is final.
        end = datetime.fromtimestamp((await market.ask("/sim/clock"))["feed_ns"] / 1e9, UTC)
        end -= timedelta(days=1)
        start = end - timedelta(days=6)
        bars = await engine.get_historical_data("AAPL", start, end, progress=done.append)
        truth = await market.recording("AAPL", to_ns(start), to_ns(end))
        assert {to_ns(bar.timestamp): bar.close for bar in bars} == truth
        assert len(bars) == len(truth) > 500
        assert bars.gaps == ()
        sessions = calendar_of("equity").sessions(to_ns(start), to_ns(end))
        regular = [s for s in truth for one in sessions if one.open_ns <= s < one.close_ns]
        assert len(regular) <= bars.expected <= 390 * len(sessions)
        assert done[-1] == 1.0
        before = (await market.ask("/sim/stats"))["rest_requests"]
        again = await engine.get_historical_data("AAPL", start, end)
        after = (await market.ask("/sim/stats"))["rest_requests"]
        assert len(again) == len(bars)
        assert after == before
        await engine.subscribe_symbol("AAPL")
        kept = [await engine.get_historical_data("AAPL", start, end) for _ in range(3)]
        assert [list(bars) for bars in kept] == [list(again)] * 3
        figures = engine.get_metrics()["engine"]
        assert (figures["cache_misses"], figures["cache_hits"]) == (1, 2)
        feed = engine.feeds["alpaca_main"]
        # The status is that of ingest's last heartbeat, which may be older than the connection.
        await until(
            lambda: feed.get_connection_status().connected, "a heartbeat with the connection"
        )
    finally:
        await engine.stop()
        await engine.stop()


async def test_a_handle_for_another_feed_is_refused(home: Path) -> None:
    other = DataEngine()
    other.add_feed(AlpacaDataFeed("alpaca_sip", Config().replace(alpaca={"feed": "sip"})))
    with pytest.raises(FeedError, match=r"for the feed sip, .* serves iex: .*`stack\.folder`"):
        await other.start()
