"""What becomes of records: figures, grades, the cache, the callbacks."""

import asyncio
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from lean_lite.algorithm.data_models import DataQualityLevel, Resolution, TradeBar, from_ns
from lean_lite.blocks import empty_block
from lean_lite.data import Bars, DataCache
from lean_lite.data.intake import Intake
from lean_lite.errors import RequestError
from lean_lite.messages import Gap, LiveBar
from lean_lite.quality import Check, Grader
from tests.integration.data.forex import CustomForexFeed
from tests.unit.common.samples import MINUTE_NS, NINE_THIRTY_NS, Row, block_of, live_bar

EMPTY = Bars(empty_block("iex"))
MINUTE = Resolution.MINUTE


@pytest.fixture
def cache(tmp_path: Path) -> DataCache:
    return DataCache(cache_dir=tmp_path)


class Going:
    """Be a subscription that goes on."""

    stopped = False


def at(minute: int) -> datetime:
    return from_ns(NINE_THIRTY_NS + minute * MINUTE_NS)


def bar(minute: int, **changes: object) -> LiveBar:
    return live_bar(start_ns=NINE_THIRTY_NS + minute * MINUTE_NS, **changes)


def graded(minutes: int) -> Bars:
    block = block_of([Row().at(minute) for minute in range(minutes)])
    return Bars(Grader("equity").grade(1, block).block)


def history(minutes: int, *gaps: Gap) -> Bars:
    return Bars(block_of([Row().at(minute) for minute in range(minutes)]), gaps)


async def take(intake: Intake, *records: LiveBar) -> None:
    for record in records:
        await intake.take(Going(), record)


async def test_records_are_counted_graded_and_handed_on() -> None:
    intake = Intake(None)
    got: list[tuple[str, TradeBar, DataQualityLevel]] = []
    intake.callbacks.add(lambda *update: got.append(update))
    handle = CustomForexFeed("mine")
    intake.begin("SPY", handle, EMPTY)
    invalid = bar(1, level=0, reasons=2)
    await take(intake, bar(0), invalid)
    await asyncio.sleep(0.01)
    assert [quality.name for _, _, quality in got] == ["EXCELLENT", "INVALID"]
    await intake.callbacks.stop()
    figures = intake.to_dict(waiting=3, symbols=["SPY"])
    assert (figures["total_messages"], figures["waiting"], figures["symbols"]) == (2, 3, ["SPY"])
    assert figures["quality"]["INVALID"] == 1
    # What is INVALID is in no buffer.
    assert list(handle.buffer) == [bar(0).bar()]


async def test_whole_history_of_a_subscribed_symbol_is_kept(cache: DataCache) -> None:
    intake = Intake(cache)
    asked = ("SPY", MINUTE, at(0), at(3))
    intake.keep(*asked, history(3))
    assert intake.cached(*asked) is None
    intake.begin("SPY", None, graded(5))
    intake.keep(*asked, history(3, Gap("SPY", 0, 1, "lost")))
    assert intake.cached(*asked) is None
    intake.keep("SPY", MINUTE, at(0), at(5), history(5))
    assert intake.cached("SPY", MINUTE, at(0), at(5)) is None, "its end is not over"
    intake.keep(*asked, history(3))
    found = intake.cached(*asked)
    assert found is not None
    assert len(found) == 3
    figures = intake.to_dict(waiting=0, symbols=[])
    assert (figures["cache_hits"], figures["cache_misses"]) == (1, 2)


@pytest.mark.parametrize(("minute", "dropped"), [(0, True), (2, True), (3, False)])
async def test_a_correction_takes_what_it_touches_out_of_the_cache(
    cache: DataCache, tmp_path: Path, minute: int, *, dropped: bool
) -> None:
    intake = Intake(cache)
    intake.begin("SPY", None, EMPTY)
    await take(intake, *map(bar, range(5)))
    asked = ("SPY", MINUTE, at(0), at(3))
    intake.keep(*asked, history(3))
    await take(intake, bar(5))
    assert intake.cached(*asked) is not None
    await take(intake, bar(minute, volume=2.0, late=True))
    assert (intake.cached(*asked) is None) == dropped
    assert (DataCache(cache_dir=tmp_path).get(*asked) is None) == dropped


async def test_what_is_no_longer_heard_of_is_no_longer_cached(cache: DataCache) -> None:
    intake = Intake(cache)
    intake.begin("SPY", None, graded(10))
    asked = ("SPY", MINUTE, at(0), at(3))
    intake.keep(*asked, history(3))
    intake.end("SPY")
    assert cache.get(*asked) is None


async def test_reports_begin_with_what_is_stored() -> None:
    intake = Intake(None)
    known = block_of([Row().at(0)], simulated=True)
    poor = {"level": np.array([1], "|u1"), "reasons": np.array([Check.B04_COUNT.mask], "<u8")}
    intake.begin("SPY", None, Bars(known.with_columns(**poor)))
    await take(intake, bar(1, simulated=True))
    report = intake.report("SPY", hours=1)
    assert report["reasons"] == {"B04_COUNT": 1}
    assert report["levels"]["POOR"] == report["levels"]["EXCELLENT"] == 1
    with pytest.raises(RequestError, match=r"AAPL is not subscribed \(subscribed: SPY\)"):
        intake.report("AAPL", 1)


async def test_figures_count_every_record_once() -> None:
    intake, got = Intake(None), list[tuple[TradeBar, DataQualityLevel]]()
    intake.callbacks.add(lambda _, got_bar, quality: got.append((got_bar, quality)))
    levels = (4, 4, 3, 0)
    records = [bar(minute, level=level, wall_ns=minute) for minute, level in enumerate(levels)]
    await intake.take_all([(Going(), record) for record in records[:3]])
    await intake.take_all([(Going(), records[3])])
    await asyncio.sleep(0)
    assert got == [(record.bar(), record.quality) for record in records]
    figures = intake.to_dict(waiting=0, symbols=[])
    assert (figures["total_messages"], figures["error_count"]) == (4, 0)
    assert figures["quality"] == {"EXCELLENT": 2, "GOOD": 1, "FAIR": 0, "POOR": 0, "INVALID": 1}
    await intake.callbacks.stop()


@pytest.mark.parametrize(
    "wrong",
    [live_bar(level=9), live_bar(level=-1), live_bar(resolution_s=-1), live_bar(start_ns=2**80)],
)
async def test_a_record_that_makes_no_bar_is_counted_and_harms_no_other(wrong: LiveBar) -> None:
    intake, got = Intake(None), list[TradeBar]()
    intake.callbacks.add(lambda _, got_bar, quality: got.append(got_bar))
    await intake.take_all([(Going(), record) for record in (live_bar(), wrong, live_bar())])
    await asyncio.sleep(0)
    assert got == [live_bar().bar()] * 2
    figures = intake.to_dict(waiting=0, symbols=[])
    assert (figures["total_messages"], figures["error_count"]) == (2, 1)
    await intake.callbacks.stop()
