import asyncio
from collections.abc import Sequence

import pytest

from lean_lite.data.intake import Intake
from lean_lite.data.mailbox import Source
from lean_lite.data.pump import Pump
from lean_lite.messages import LiveBar
from tests.unit.common.samples import live_bar


class Going:
    """Be a subscription that goes on."""

    stopped = False


class Stumbling(Intake):
    """Fail with the first bars."""

    failed = False

    async def take_all(self, arrivals: Sequence[tuple[Source, LiveBar]]) -> None:
        if not self.failed:
            self.failed = True
            message = "the disk, perhaps"
            raise OSError(message)
        await super().take_all(arrivals)


async def test_bars_of_subscribed_symbols_are_handed_on() -> None:
    got: list[str] = []
    intake = Intake(None)
    intake.callbacks.add(lambda symbol, *_: got.append(symbol))
    pump = Pump({"SPY": Going()}, intake)
    pump.start()
    pump.queue.put([live_bar(), live_bar(symbol="AAPL"), live_bar(seq=8)])
    await asyncio.sleep(0.01)
    await pump.stop()
    assert got == ["SPY", "SPY"]


async def test_what_fails_is_counted_and_the_bars_behind_it_come(
    caplog: pytest.LogCaptureFixture,
) -> None:
    got: list[str] = []
    intake = Stumbling(None)
    intake.callbacks.add(lambda symbol, *_: got.append(symbol))
    pump = Pump({"SPY": Going()}, intake)
    pump.start()
    for seq in range(3):
        pump.queue.put([live_bar(seq=seq)])
        await asyncio.sleep(0.01)
    await pump.stop()
    assert got == ["SPY", "SPY"]
    assert intake.metrics.error_count == 1
    assert "pump.failed" in caplog.messages
