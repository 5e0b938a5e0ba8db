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


@pytest.mark.parametrize("bound", [8_192, 3])
async def test_nothing_is_dropped_for_a_callback_that_is_quick(bound: int) -> None:
    got: list[str] = []
    other: list[str] = []
    intake = Intake(None)
    intake.callbacks.add(lambda symbol, *_: got.append(symbol), policy="drop_oldest", bound=bound)
    intake.callbacks.add(lambda symbol, *_: other.append(symbol), policy="latest")
    pump = Pump({"SPY": Going()}, intake)
    pump.start()
    pump.queue.put([live_bar(seq=seq) for seq in range(10_000)])
    while len(pump.queue) or intake.callbacks.to_list()[0]["waiting"]:
        await asyncio.sleep(0.01)
    await pump.stop()
    assert len(got) == 10_000
    assert len(other) > 3


async def test_one_that_drops_and_waits_long_holds_nobody() -> None:
    got: list[str] = []
    gate = asyncio.Event()

    async def slow(*_: object) -> None:
        await gate.wait()

    intake = Intake(None)
    intake.callbacks.add(slow, policy="drop_oldest", bound=300)
    intake.callbacks.add(lambda symbol, *_: got.append(symbol))
    pump = Pump({"SPY": Going()}, intake)
    pump.start()
    pump.queue.put([live_bar(seq=seq) for seq in range(5_000)])
    async with asyncio.timeout(30):
        while len(got) < 5_000:
            await asyncio.sleep(0.01)
    await pump.stop()
    await intake.callbacks.stop()
    assert intake.callbacks.to_list()[0]["dropped"] == 5_000 - 301
