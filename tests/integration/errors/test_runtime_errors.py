"""A running service with a problem keeps running, says what to do, and recovers by itself."""

import asyncio
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw

from lean_lite.bus import Bus
from lean_lite.protocol.subjects import GRADED
from tests.harness.brokers import Brokers
from tests.harness.error_table import shows
from tests.harness.frames import Feeder, undecodable
from tests.harness.services import Process, Services
from tests.harness.simulated_market import Market, alpaca
from tests.harness.streams import stored
from tests.harness.waiting import until
from tests.integration.conftest import Join
from tests.integration.ingest.conftest import SimulatorMaker

BYTES = b"\xc1 no block"


async def failing(process: Process) -> str:
    """Return what fails in a process over HTTP: without the bus it can publish no heartbeats."""
    assert process.beat is not None
    return await asyncio.to_thread(_read, f"{process.beat.url}/readyz")


def _read(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=10):
            return ""
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()


async def test_a_lost_nats_is_reported_and_the_service_recovers_when_it_is_back(
    services: Services, brokers: Brokers
) -> None:
    metrics = await services.start("metrics").ready()
    pid = metrics.pid
    await brokers.kill_nats()
    try:

        async def reported() -> str:
            return await failing(metrics)

        shows("NATS is lost", await until(reported, "the loss to be reported"))
    finally:
        await brokers.start_nats()

    async def ready() -> bool:
        return not await failing(metrics)

    await until(ready, "metrics to be ready again")
    assert metrics.running
    assert metrics.pid == pid


async def test_a_clock_that_is_behind_is_logged_once_a_minute_with_what_to_do(
    simulator: SimulatorMaker, services: Services, market: Market
) -> None:
    # An Alpaca whose days are in the future by this machine's clock.
    today = datetime.now(UTC).date() + timedelta(days=30)
    sim = await simulator(today=today, start="last")
    ingest = services.start("ingest", alpaca=alpaca(sim, simulated=False))
    await market.subscribe("SPY")
    await market.reach("SPY", 3)
    shows("a clock that is behind", ingest.log)
    assert ingest.log.count("clock.behind") == 1
    await ingest.ready()


async def test_the_clock_of_a_simulator_is_not_logged_as_behind(
    simulator: SimulatorMaker, services: Services, market: Market
) -> None:
    sim = await simulator()
    ingest = services.start("ingest", alpaca=alpaca(sim))
    await market.subscribe("SPY")
    await market.reach("SPY", 20)
    assert "clock.behind" not in ingest.log


async def test_an_undecodable_frame_is_logged_and_kept_with_its_bytes(
    services: Services, join: Join, admin: Bus, tmp_path: Path
) -> None:
    validate = await services.start("validate").ready()
    store = services.start("store", store={"path": str(tmp_path / "bars")})
    await store.ready()
    feeder = Feeder(await join("ingest"))
    await feeder.publish(undecodable("AAPL", BYTES))
    await feeder.bars("AAPL", range(3))

    def stored_bars() -> bool:
        return store.counted("lean_lite_store_bars_total") == 3

    await until(stored_bars, "the bars after it")
    shows("a frame that can't be decoded", validate.log)
    assert [f.payload for f in await stored(admin, GRADED) if f.payload == BYTES] == [BYTES]
    file = tmp_path / "bars" / "store-0.sqlite"
    with apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY) as connection:
        kept = connection.execute("SELECT data, error FROM undecodable").fetchall()
    connection.close()
    assert [data for data, _ in kept] == [BYTES]
    assert kept[0][1]
