"""A strategy continues when the supervisor of its stack is killed, and ends with the stack."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from lean_lite.data import DataEngine
from lean_lite.data.streams import BarStream, Slices
from lean_lite.errors import StackError
from lean_lite.model import DataQualityLevel, TradeBar
from tests.docs.runner import await_end, settings_of
from tests.harness.forex_feed import SYMBOL, CustomForexFeed, rate
from tests.harness.waiting import until

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(240),
]


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let engines of this process use a stack of their own."""
    for name, text in settings_of(tmp_path).items():
        monkeypatch.setenv(name, text)


async def test_streams_raise_stack_error_when_the_stack_is_stopped() -> None:
    async def read(stream: BarStream | Slices) -> None:
        async for _ in stream:
            pass

    async with DataEngine() as engine:
        streams = engine.bars("SPY"), engine.slices(["SPY"])
        reading = [asyncio.create_task(read(stream)) for stream in streams]
        await until(lambda: engine.get_metrics()["services"], "the services")
        await asyncio.sleep(2)
        down = await asyncio.create_subprocess_exec(sys.executable, "-m", "lean_lite.cli", "down")
        assert await down.wait() == 0
        for one in reading:
            with pytest.raises(StackError, match=r"engine\.start"):
                await asyncio.wait_for(one, 60)


async def test_bars_of_a_custom_feed_arrive_once_when_the_supervisor_is_killed(
    tmp_path: Path,
) -> None:
    got: list[float] = []

    def on_bar(symbol: str, bar: TradeBar, quality: DataQualityLevel) -> None:
        assert (symbol, quality) == (SYMBOL, DataQualityLevel.EXCELLENT)
        got.append(bar.close)

    feed = CustomForexFeed("forex_feed")
    engine = DataEngine()
    engine.add_feed(feed)
    engine.add_data_callback(on_bar)
    async with engine:
        await engine.subscribe_symbol(SYMBOL)
        for number in range(60):
            await feed.publish(rate(number))
            if number == 20:
                facts = json.loads((tmp_path / "demo" / "stack.json").read_text("utf-8"))
                os.kill(facts["pid"], signal.SIGKILL)
            await asyncio.sleep(0.05)
        await until(lambda: len(got) == 60, "every bar", 90)
        await asyncio.sleep(1)
    assert got == [rate(number).close for number in range(60)]
    await asyncio.to_thread(await_end, tmp_path)
