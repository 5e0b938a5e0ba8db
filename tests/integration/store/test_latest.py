"""Valkey holds the newest bars, and the store works without it."""

from redis.asyncio import Redis

from lean_lite_store.storage.latest import read_latest
from tests.harness.error_table import shows
from tests.harness.frames import OPEN_NS, count_stored, some_bars
from tests.harness.services import Server, Store
from tests.harness.store_clients import Publisher
from tests.harness.waiting import until

MINUTE_NS = 60_000_000_000


async def newest(valkey: Server, *symbols: str) -> dict[str, tuple[int, float]]:
    async with Redis(port=valkey.port) as redis:
        found = await read_latest(redis, "iex", 60, symbols)
    return {
        symbol: ((bar.start_ns - OPEN_NS) // MINUTE_NS, bar.close) for symbol, bar in found.items()
    }


async def test_the_newest_bar_never_goes_back_in_time_and_takes_revisions(
    store: Store, publisher: Publisher, valkey: Server
) -> None:
    store.start(LEAN_LITE_STORE__REDIS_URL=f"redis://127.0.0.1:{valkey.port}")
    first, older = some_bars("AAPL", range(5, 8)), some_bars("AAPL", range(3), origin=2)
    revised = some_bars("AAPL", range(7, 8), seed=1, origin=1)
    for block in (first, older):
        await publisher.bars("AAPL", block)
    await publisher.bars("SPY", some_bars("SPY", range(1)))
    await _written(valkey, "AAPL", 7, float(first["close"][-1]))
    await publisher.bars("AAPL", revised)
    await _written(valkey, "AAPL", 7, float(revised["close"][-1]))
    assert (await newest(valkey, "SPY", "NONE")).keys() == {"SPY"}


async def test_the_store_works_without_valkey_and_fills_it_when_it_is_back(
    store: Store, publisher: Publisher, valkey: Server
) -> None:
    store.start(LEAN_LITE_STORE__REDIS_URL=f"redis://127.0.0.1:{valkey.port}")
    await publisher.bars("AAPL", some_bars("AAPL", range(1)))
    await store.ready()
    await until(lambda: store.counter("lean_lite_store_redis_up") == 1)
    valkey.kill()
    for minute in range(1, 5):
        last = some_bars("AAPL", range(minute, minute + 1))
        await publisher.bars("AAPL", last)
        await until(lambda: count_stored(store.file) == minute + 1)  # noqa: B023
    await until(lambda: store.counter("lean_lite_store_redis_up") == 0)
    assert store.failing() == ""
    valkey.start()
    await _written(valkey, "AAPL", 4, float(last["close"][0]))
    await until(lambda: store.counter("lean_lite_store_redis_up") == 1)
    assert store.log.read_text().count("valkey.unavailable") == 1
    shows("Valkey is missing", store.log.read_text())


async def _written(valkey: Server, symbol: str, minute: int, close: float) -> None:
    while (await newest(valkey, symbol)).get(symbol) != (minute, close):
        pass
