"""A store process stores what is published, and answers requests for it."""

import asyncio

import apsw
import numpy as np
import pytest

from lean_lite.bus import Bus
from lean_lite.errors import BusUnavailable, Busy, RequestError
from lean_lite.protocol.headers import ERROR, MARKER
from lean_lite.protocol.partitions import lane_of
from lean_lite.quality import Check
from tests.harness.error_table import shows
from tests.harness.frames import DAY_NS, OPEN_NS, count_stored, same_bits, some_bars
from tests.harness.services import Store
from tests.harness.store_clients import HistoryClient, Publisher
from tests.harness.waiting import until


async def test_bars_are_returned_bit_for_bit_with_their_sequence(
    store: Store, publisher: Publisher, ask: HistoryClient
) -> None:
    store.start()
    sent = {symbol: some_bars(symbol, range(390)) for symbol in ("AAPL", "BRK.B", "BTC/USD")}
    seqs = {symbol: await publisher.bars(symbol, block) for symbol, block in sent.items()}
    await store.ready()
    wanted = {str(lane_of(symbol)): seq for symbol, seq in seqs.items()}
    reply, blocks = await ask(*sent, "NONE", min_seq=wanted)
    assert reply.rows == 3 * 390
    assert [block.symbols for block in blocks] == [("AAPL",), ("BRK.B",), ("BTC/USD",)]
    for symbol, stored in zip(sent, blocks, strict=True):
        assert same_bits(stored, sent[symbol])
        assert set(stored["seq"].tolist()) == {seqs[symbol]}
        assert (stored["stored_ns"] > 0).all()
    assert reply.through.items() >= wanted.items()
    assert count_stored(store.file) == 3 * 390
    assert store.stop() == 0
    assert count_stored(store.file) == 3 * 390


async def test_a_long_reply_has_several_chunks_in_order_of_start(
    store: Store, publisher: Publisher, ask: HistoryClient
) -> None:
    parts = [
        some_bars("BTC/USD", range(1_000), start_ns=OPEN_NS + day * DAY_NS)
        for day in (9, 3, 5, 0, 1, 2, 4, 6, 7, 8)
    ]
    for part in parts:
        seq = await publisher.bars("BTC/USD", part)
    store.start(LEAN_LITE_STORE__DAYS_IN_MEMORY="2")
    await store.ready()
    lane = str(lane_of("BTC/USD"))
    reply, blocks = await ask("BTC/USD", min_seq={lane: seq})
    assert (reply.rows, reply.chunks, len(blocks)) == (10_000, 3, 3)
    starts = np.concatenate([block["start_ns"] for block in blocks])
    assert (np.diff(starts) > 0).all()
    _, (last,) = await ask("BTC/USD", after={lane: seq - 1})
    assert same_bits(last, parts[-1])
    _, (some,) = await ask("BTC/USD", start_ns=OPEN_NS, end_ns=OPEN_NS + 600 * 10**9)
    assert len(some) == 10


async def test_a_request_waits_for_min_seq_and_is_refused_as_busy_after_the_timeout(
    store: Store, publisher: Publisher, ask: HistoryClient
) -> None:
    store.start(LEAN_LITE_STORE__WAIT_S="1")
    first = await publisher.bars("AAPL", some_bars("AAPL", range(1)))
    await store.ready()
    lane = str(lane_of("AAPL"))
    with pytest.raises(Busy, match="try again"):
        await ask("AAPL", min_seq={lane: first + 1})
    waiting = asyncio.create_task(ask("AAPL", min_seq={lane: first + 1}))
    await asyncio.sleep(0.2)
    await publisher.bars("AAPL", some_bars("AAPL", range(1, 2)))
    reply, (block,) = await waiting
    assert (reply.through[lane], len(block)) == (first + 1, 2)


async def test_a_reply_that_would_be_too_large_is_refused_with_advice(
    store: Store, publisher: Publisher, ask: HistoryClient
) -> None:
    store.start(LEAN_LITE_STORE__REPLY_ROWS="100")
    seq = await publisher.bars("AAPL", some_bars("AAPL", range(101)))
    await store.ready()
    with pytest.raises(RequestError, match="shorter span") as refused:
        await ask("AAPL", min_seq={str(lane_of("AAPL")): seq})
    assert refused.value.code == "too-large"
    shows("too large an answer", str(refused.value))


async def test_the_best_revision_is_returned_without_repeats_and_invalid_rows(
    store: Store, publisher: Publisher, ask: HistoryClient
) -> None:
    live = some_bars("AAPL", range(10))
    refill = some_bars("AAPL", range(5, 7), seed=1, origin=2)
    marked = np.full(10, Check.S01_REPEATED.mask, "<u8")
    await publisher.bars("AAPL", live)
    await publisher.bars("AAPL", refill)
    await publisher.bars("AAPL", some_bars("AAPL", range(6, 7), seed=2, origin=1))
    await publisher.bars("AAPL", live.with_columns(reasons=live["reasons"] | marked))
    await publisher.bars("AAPL", some_bars("AAPL", range(20, 23), level=0))
    await publisher.frame("AAPL", b"", {MARKER: "1"})
    await publisher.frame("AAPL", b"\x00raw", {ERROR: "not a block"})
    seq = await publisher.frame("AAPL", b"\xffnoise")
    store.start()
    await store.ready()
    _, (block,) = await ask("AAPL", min_seq={str(lane_of("AAPL")): seq})
    assert same_bits(block.take(slice(5, 7)), refill)
    rest = np.r_[0:5, 7:10]
    assert same_bits(block.take(rest), live.take(rest))
    assert count_stored(store.file) == 13
    assert store.counter("lean_lite_store_repeated_total") == 10
    assert store.counter("lean_lite_store_quarantined_total") == 3
    assert store.counter("lean_lite_store_bars_total") == 13
    assert store.counter("lean_lite_store_frames_total") == 8
    with apsw.Connection(str(store.file), flags=apsw.SQLITE_OPEN_READONLY) as connection:
        lost = connection.execute("SELECT seq, data FROM undecodable ORDER BY seq").fetchall()
    connection.close()
    assert lost == [(seq - 1, b"\x00raw"), (seq, b"\xffnoise")]


@pytest.mark.parametrize("feed", ["iex", "sip"])
async def test_a_request_without_a_feed_uses_the_accounts_feed_even_if_others_are_newer(
    feed: str, store: Store, publisher: Publisher, ask: HistoryClient
) -> None:
    sent = {
        name: some_bars("AAPL", range(first, first + 10), feed=name)
        for first, name in enumerate(("iex", "sip", "experiment"))
    }
    for block in sent.values():
        seq = await publisher.bars("AAPL", block)
    await publisher.bars("BTC/USD", some_bars("BTC/USD", range(5), feed="us"))
    crypto = await publisher.bars("BTC/USD", some_bars("BTC/USD", range(9), feed="experiment"))
    await publisher.bars("MSFT", some_bars("MSFT", range(5), feed="experiment"))
    store.start(LEAN_LITE_ALPACA__FEED=feed)
    await store.ready()
    lanes = {str(lane_of("AAPL")): seq, str(lane_of("BTC/USD")): crypto}
    _, (shares, coins) = await ask("AAPL", "MSFT", "BTC/USD", min_seq=lanes)
    assert (shares.feed, same_bits(shares, sent[feed])) == (feed, True)
    assert (coins.feed, len(coins)) == ("us", 5)
    for name, block in sent.items():
        _, (named,) = await ask("AAPL", feed=name)
        assert same_bits(named, block)
    # A request for rows after a sequence uses the account's feed, too.
    assert (await ask("AAPL", after={str(lane_of("AAPL")): seq}))[1] == []


async def test_without_an_account_feed_the_feed_with_the_newest_bar_is_used(
    store: Store, publisher: Publisher, ask: HistoryClient
) -> None:
    older = some_bars("EUR/USD", range(10), feed="one")
    newer = some_bars("EUR/USD", range(5, 15), feed="other")
    await publisher.bars("EUR/USD", newer)
    seq = await publisher.bars("EUR/USD", older)
    store.start()
    await store.ready()
    _, (chosen,) = await ask("EUR/USD", min_seq={str(lane_of("EUR/USD")): seq})
    assert (chosen.feed, same_bits(chosen, newer)) == ("other", True)
    _, (named,) = await ask("EUR/USD", feed="one")
    assert same_bits(named, older)


async def test_a_request_without_symbols_returns_only_how_far_history_reaches(
    store: Store, publisher: Publisher, ask: HistoryClient
) -> None:
    store.start()
    seq = await publisher.bars("AAPL", some_bars("AAPL", range(3)))
    await store.ready()
    reply, blocks = await ask()
    assert (reply.through, reply.rows, blocks) == ({str(lane_of("AAPL")): seq}, 0, [])


async def test_a_restarted_store_answers_after_it_has_caught_up(
    store: Store, publisher: Publisher, ask: HistoryClient
) -> None:
    store.start()
    await store.ready()
    assert store.stop() == 0
    for minute in range(400):
        await publisher.bars("AAPL", some_bars("AAPL", range(minute, minute + 1)))
    store.start()
    async with asyncio.timeout(40):
        while True:
            try:
                reply, _ = await ask("AAPL")
            except BusUnavailable:
                await asyncio.sleep(0.01)
            else:
                break
    assert reply.rows == 400
    await store.ready()


async def test_two_stores_in_one_folder_hold_the_same_bars_in_separate_files(
    store: Store, publisher: Publisher, admin: Bus
) -> None:
    other = Store(store.settings["LEAN_LITE_BUS__URL"], store.folder, "")
    store.start()
    await store.ready()
    other.start()
    try:
        await other.ready()
        for minute in range(20):
            await publisher.bars("AAPL", some_bars("AAPL", range(minute, minute + 5)))
        paths = [store.folder / "store-0.sqlite", store.folder / "store-1.sqlite"]
        await until(lambda: all(count_stored(path) == 100 for path in paths))
    finally:
        other.stop()


async def test_a_store_without_a_folder_does_not_start_and_names_the_setting(store: Store) -> None:
    store.start(LEAN_LITE_STORE__PATH="")
    assert store.process is not None
    assert await asyncio.to_thread(store.process.wait, 20) == 3
    assert "store.path" in store.log.read_text()
