"""The bars of every frame are stored once, also when the store is killed."""

import asyncio
import itertools
import random
import resource
import signal

import apsw
import numpy as np

from lean_lite.blocks import Block, concat
from lean_lite.bus import Bus, create_streams
from lean_lite.config import StreamsConfig
from lean_lite.errors import StoreError
from lean_lite.protocol.partitions import lane_of
from lean_lite.protocol.subjects import GRADED
from lean_lite_store.storage.journal import read_journal
from tests.harness.frames import count_stored, same_bits, seqs, some_bars
from tests.harness.services import Store
from tests.harness.store_clients import HistoryClient, Publisher
from tests.harness.waiting import until

SYMBOLS = ("AAPL", "MSFT", "BTC/USD", "SPY")
ROWS = 5
KILLS = 7


async def test_kills_at_random_moments_neither_lose_nor_duplicate_a_bar(
    store: Store, publisher: Publisher, ask: HistoryClient
) -> None:
    killed = asyncio.Event()
    last: dict[str, int] = {}

    async def publish() -> int:
        for frame in itertools.count():
            for symbol in SYMBOLS:
                last[symbol] = await publisher.bars(symbol, _bars(symbol, frame))
            if killed.is_set():
                break
            await asyncio.sleep(0.003)
        return frame + 1

    chance = random.Random(7)
    publishing = asyncio.create_task(publish())
    for _ in range(KILLS):
        applied = _count(store)
        store.start()
        await _more_than(store, applied)
        await asyncio.sleep(chance.uniform(0, 0.3))
        store.stop(signal.SIGKILL)
    killed.set()
    frames = await publishing
    store.start()
    await store.ready()
    reached = {str(lane_of(symbol)): seq for symbol, seq in last.items()}
    reply, blocks = await ask(*SYMBOLS, min_seq=reached)
    assert reply.rows == frames * ROWS * len(SYMBOLS)
    for symbol in SYMBOLS:
        stored = concat([block for block in blocks if block.symbols == (symbol,)])
        assert same_bits(stored, concat([_bars(symbol, frame) for frame in range(frames)]))
    assert sorted(seqs(store.file)) == [
        seq for seq in range(1, frames * len(SYMBOLS) + 1) for _ in range(ROWS)
    ]
    assert count_stored(store.file) == frames * ROWS * len(SYMBOLS)


def _bars(symbol: str, frame: int) -> Block:
    return some_bars(symbol, range(frame * ROWS, (frame + 1) * ROWS))


async def _more_than(store: Store, bars: int) -> None:
    await until(lambda: _count(store) > bars)


def _count(store: Store) -> int:
    try:
        return count_stored(store.file)
    except StoreError:  # it is being created
        return 0


async def test_redelivered_frames_change_nothing(
    store: Store, publisher: Publisher, ask: HistoryClient
) -> None:
    for minute in range(50):
        seq = await publisher.bars("AAPL", some_bars("AAPL", range(minute, minute + 3)))
    store.start()
    await store.ready()
    lane = {str(lane_of("AAPL")): seq}
    _, (before,) = await ask("AAPL", min_seq=lane)
    stored = count_stored(store.file)
    journaled = len(seqs(store.file))
    store.stop()
    with apsw.Connection(str(store.file)) as connection:
        connection.execute("UPDATE position SET seq = 5")
    connection.close()
    store.start()
    await store.ready()
    _, (after,) = await ask("AAPL", min_seq=lane)
    assert same_bits(after, before)
    assert (count_stored(store.file), len(seqs(store.file))) == (stored, journaled)
    assert store.counter("lean_lite_store_repeated_total") == 45 * 3


async def test_a_stream_created_again_while_the_store_is_stopped_is_read_from_its_first_frame(
    store: Store, publisher: Publisher, ask: HistoryClient, admin: Bus
) -> None:
    for minute in range(20):
        await publisher.bars("AAPL", some_bars("AAPL", range(minute, minute + 1)))
    store.start()
    await store.ready()
    store.stop()
    await admin.jetstream.delete_stream(GRADED)
    await create_streams(admin, StreamsConfig())
    for minute in range(20, 25):
        seq = await publisher.bars("AAPL", some_bars("AAPL", range(minute, minute + 1)))
    store.start()
    await store.ready()
    reply, (block,) = await ask("AAPL", min_seq={str(lane_of("AAPL")): seq})
    assert (reply.rows, reply.through) == (25, {str(lane_of("AAPL")): 5})
    assert len(block) == 25
    assert "stream.replaced" in store.log.read_text()
    assert store.counter("lean_lite_store_reread_total") == 1


async def test_a_stream_created_again_while_the_store_runs_is_read_from_its_first_frame(
    store: Store, publisher: Publisher, admin: Bus
) -> None:
    for minute in range(20):
        await publisher.bars("AAPL", some_bars("AAPL", range(minute, minute + 1)))
    store.start()
    await store.ready()
    await admin.jetstream.delete_stream(GRADED)
    await create_streams(admin, StreamsConfig())
    for minute in range(20, 25):
        await publisher.bars("AAPL", some_bars("AAPL", range(minute, minute + 1)))
    await until(lambda: count_stored(store.file) == 25)


async def test_the_store_waits_while_the_disk_refuses_writes_and_then_continues(
    store: Store, publisher: Publisher, ask: HistoryClient
) -> None:
    store.start(LEAN_LITE_STORE__PENDING_FRAMES="10")
    await publisher.bars("AAPL", some_bars("AAPL", range(1)))
    await store.ready()
    assert store.process is not None
    await until(lambda: count_stored(store.file) == 1)
    pid, unlimited = store.process.pid, resource.RLIM_INFINITY
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4_096, unlimited))
    for frame in range(100):
        minutes = range(1 + frame * 7, 8 + frame * 7)
        seq = await publisher.bars("AAPL", some_bars("AAPL", minutes))
    await until(lambda: "the disk refuses" in store.failing())
    assert count_stored(store.file) == 1
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
    await store.ready()
    reply, _ = await ask("AAPL", min_seq={str(lane_of("AAPL")): seq})
    assert reply.rows == count_stored(store.file) == 701
    assert store.log.read_text().count("store.write_failed") == 1


async def test_the_journal_can_be_read_while_the_store_writes(
    store: Store, publisher: Publisher
) -> None:
    store.start()
    sent = some_bars("AAPL", range(100))
    await publisher.bars("AAPL", sent)
    await store.ready()
    await until(lambda: count_stored(store.file) == 100)
    (block,) = read_journal(store.file)
    assert same_bits(block, sent)
    assert np.all(block["seq"] == 1)
