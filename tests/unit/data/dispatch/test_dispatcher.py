"""Live records are counted, graded and dispatched to the callbacks, also after errors."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from lean_lite.blocks import empty_block
from lean_lite.data import Bars, DataMetrics
from lean_lite.data.dispatch.dispatcher import Dispatcher
from lean_lite.data.dispatch.mailbox import UpdateSource
from lean_lite.errors import RequestError
from lean_lite.model import DataQualityLevel, TradeBar
from lean_lite.protocol.live import LiveBar
from lean_lite.quality import Check
from tests.harness.bars import MINUTE_NS, NINE_THIRTY_NS, Row, block_of, live_bar
from tests.harness.forex_feed import CustomForexFeed

EMPTY = Bars(empty_block("iex"))


class ActiveSource:
    stopped = False


@pytest.fixture
async def dispatcher() -> AsyncIterator[Dispatcher]:
    made = Dispatcher(DataMetrics())
    yield made
    await made.stop()


def bar(minute: int, **changes: object) -> LiveBar:
    return live_bar(start_ns=NINE_THIRTY_NS + minute * MINUTE_NS, **changes)


async def dispatch(dispatcher: Dispatcher, *records: LiveBar) -> None:
    await dispatcher.dispatch_all([(ActiveSource(), record) for record in records])


async def test_records_are_counted_graded_and_dispatched(dispatcher: Dispatcher) -> None:
    got: list[tuple[str, TradeBar, DataQualityLevel]] = []
    dispatcher.callbacks.add(lambda *update: got.append(update))
    feed = CustomForexFeed("mine")
    dispatcher.add_symbol("SPY", ActiveSource(), EMPTY, feed=feed)
    await dispatch(dispatcher, bar(0), bar(1, level=0, reasons=2))
    await asyncio.sleep(0.01)
    assert [quality.name for _, _, quality in got] == ["EXCELLENT", "INVALID"]
    dispatcher.queue.put([bar(2)])
    figures = dispatcher.to_dict(["SPY"])
    assert (figures["total_messages"], figures["waiting"], figures["symbols"]) == (2, 1, ["SPY"])
    assert figures["quality"]["INVALID"] == 1
    # An INVALID bar is in no buffer, and is not the newest bar.
    assert list(feed.buffer) == [bar(0).bar()]
    assert dispatcher.newest_ns("SPY") == NINE_THIRTY_NS


async def test_metrics_count_every_record_once(dispatcher: Dispatcher) -> None:
    got = list[tuple[TradeBar, DataQualityLevel]]()
    dispatcher.callbacks.add(lambda _, got_bar, quality: got.append((got_bar, quality)))
    levels = (4, 4, 3, 0)
    records = [bar(minute, level=level, wall_ns=minute) for minute, level in enumerate(levels)]
    await dispatch(dispatcher, *records[:3])
    await dispatch(dispatcher, records[3])
    await asyncio.sleep(0)
    assert got == [(record.bar(), record.quality) for record in records]
    figures = dispatcher.to_dict([])
    assert (figures["total_messages"], figures["error_count"]) == (4, 0)
    assert figures["quality"] == {"EXCELLENT": 2, "GOOD": 1, "FAIR": 0, "POOR": 0, "INVALID": 1}


async def test_late_records_are_reported_as_corrections_of_their_span() -> None:
    corrected: list[tuple[str, int, int]] = []
    dispatcher = Dispatcher(DataMetrics(), lambda *span: corrected.append(span))
    late = bar(3, late=True, resolution_s=300)
    await dispatch(dispatcher, bar(9), late, bar(4, late=True, level=0))
    assert corrected == [("SPY", late.start_ns, late.start_ns + 5 * MINUTE_NS)]


async def test_reports_start_with_the_stored_grades(dispatcher: Dispatcher) -> None:
    stored = block_of([Row().at(0)], simulated=True)
    poor = {"level": np.array([1], "|u1"), "reasons": np.array([Check.B04_COUNT.mask], "<u8")}
    dispatcher.add_symbol("SPY", ActiveSource(), Bars(stored.with_columns(**poor)))
    await dispatch(dispatcher, bar(1, simulated=True))
    report = dispatcher.report("SPY", hours=1)
    assert report["reasons"] == {"B04_COUNT": 1}
    assert report["levels"]["POOR"] == report["levels"]["EXCELLENT"] == 1
    with pytest.raises(RequestError, match=r"AAPL is not subscribed \(subscribed: SPY\)"):
        dispatcher.report("AAPL", 1)
    dispatcher.remove_symbol("SPY")
    with pytest.raises(RequestError, match=r"SPY is not subscribed \(subscribed: none\)"):
        dispatcher.report("SPY", 1)


@pytest.mark.parametrize(
    "wrong",
    [live_bar(level=9), live_bar(level=-1), live_bar(resolution_s=-1), live_bar(start_ns=2**80)],
)
async def test_an_invalid_record_is_counted_and_the_others_are_dispatched(
    dispatcher: Dispatcher, wrong: LiveBar, caplog: pytest.LogCaptureFixture
) -> None:
    got = list[TradeBar]()
    dispatcher.callbacks.add(lambda _, got_bar, quality: got.append(got_bar))
    await dispatch(dispatcher, live_bar(), wrong, live_bar())
    await asyncio.sleep(0)
    assert got == [live_bar().bar()] * 2
    figures = dispatcher.to_dict([])
    assert (figures["total_messages"], figures["error_count"]) == (2, 1)
    assert "a live record of SPY is invalid" in caplog.text


async def test_bars_of_subscribed_symbols_are_dispatched_from_the_queue(
    dispatcher: Dispatcher,
) -> None:
    got: list[str] = []
    dispatcher.callbacks.add(lambda symbol, *_: got.append(symbol))
    dispatcher.add_symbol("SPY", ActiveSource(), EMPTY)
    dispatcher.start()
    dispatcher.queue.put([live_bar(), live_bar(symbol="AAPL"), live_bar(seq=8)])
    await asyncio.sleep(0.01)
    assert got == ["SPY", "SPY"]


async def test_a_symbol_removed_while_its_bars_wait_in_the_queue_is_not_dispatched(
    dispatcher: Dispatcher,
) -> None:
    got: list[str] = []
    dispatcher.callbacks.add(lambda symbol, *_: got.append(symbol))
    dispatcher.add_symbol("SPY", ActiveSource(), EMPTY)
    dispatcher.add_symbol("AAPL", ActiveSource(), EMPTY)
    dispatcher.start()
    dispatcher.queue.put([live_bar(), live_bar(symbol="AAPL")])
    dispatcher.remove_symbol("SPY")
    await asyncio.sleep(0.01)
    assert got == ["AAPL"]


async def test_a_stopped_dispatcher_may_be_started_again(dispatcher: Dispatcher) -> None:
    got: list[float] = []
    dispatcher.callbacks.add(lambda symbol, got_bar, quality: got.append(got_bar.volume))
    for volume in (1.0, 2.0):
        dispatcher.add_symbol("SPY", ActiveSource(), EMPTY)
        dispatcher.start()
        dispatcher.queue.put([live_bar(volume=volume)])
        await asyncio.sleep(0.01)
        await dispatcher.stop()
        dispatcher.queue.put([live_bar(volume=9.0)])
    assert got == [1.0, 2.0]


class FailsOnce(Dispatcher):
    failed = False

    async def dispatch_all(self, records: Sequence[tuple[UpdateSource, LiveBar]]) -> None:
        if not self.failed:
            self.failed = True
            message = "the disk is full"
            raise OSError(message)
        await super().dispatch_all(records)


async def test_an_error_is_counted_and_later_bars_are_dispatched(
    caplog: pytest.LogCaptureFixture,
) -> None:
    got: list[str] = []
    dispatcher = FailsOnce(DataMetrics())
    dispatcher.callbacks.add(lambda symbol, *_: got.append(symbol))
    dispatcher.add_symbol("SPY", ActiveSource(), EMPTY)
    dispatcher.start()
    for seq in range(3):
        dispatcher.queue.put([live_bar(seq=seq)])
        await asyncio.sleep(0.01)
    await dispatcher.stop()
    assert got == ["SPY", "SPY"]
    assert dispatcher.metrics.error_count == 1
    assert "a batch of 1 bars could not be dispatched" in caplog.messages


@pytest.mark.parametrize("bound", [8_192, 3])
async def test_a_fast_callback_that_drops_when_full_gets_every_bar(
    dispatcher: Dispatcher, bound: int
) -> None:
    got: list[str] = []
    other: list[str] = []
    callbacks = dispatcher.callbacks
    callbacks.add(lambda symbol, *_: got.append(symbol), policy="drop_oldest", bound=bound)
    callbacks.add(lambda symbol, *_: other.append(symbol), policy="latest")
    dispatcher.add_symbol("SPY", ActiveSource(), EMPTY)
    dispatcher.start()
    dispatcher.queue.put([live_bar(seq=seq) for seq in range(10_000)])
    while len(dispatcher.queue) or callbacks.to_list()[0]["waiting"]:
        await asyncio.sleep(0.01)
    assert len(got) == 10_000
    assert len(other) > 3


async def test_a_slow_callback_that_drops_does_not_delay_others(dispatcher: Dispatcher) -> None:
    got: list[str] = []
    gate = asyncio.Event()

    async def slow(*_: object) -> None:
        await gate.wait()

    dispatcher.callbacks.add(slow, policy="drop_oldest", bound=300)
    dispatcher.callbacks.add(lambda symbol, *_: got.append(symbol))
    dispatcher.add_symbol("SPY", ActiveSource(), EMPTY)
    dispatcher.start()
    dispatcher.queue.put([live_bar(seq=seq) for seq in range(5_000)])
    async with asyncio.timeout(30):
        while len(got) < 5_000:
            await asyncio.sleep(0.01)
    assert dispatcher.callbacks.to_list()[0]["dropped"] == 5_000 - 301
