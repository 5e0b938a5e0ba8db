"""A full disk is logged once, makes the store not ready, and loses nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lean_lite.protocol.partitions import lane_of
from tests.harness.error_table import shows
from tests.harness.frames import count_stored, some_bars
from tests.harness.services import Store
from tests.harness.small_disk import fill, mounted
from tests.harness.store_clients import HistoryClient, Publisher
from tests.harness.waiting import until


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk") as disk:
        yield disk


async def test_a_full_disk_is_logged_once_and_loses_nothing(
    small_disk: Path, store: Store, publisher: Publisher, ask: HistoryClient
) -> None:
    store.start(LEAN_LITE_STORE__PATH=str(small_disk))
    await publisher.bars("AAPL", some_bars("AAPL", range(1)))
    await store.ready()
    file = small_disk / "store-0.sqlite"
    await until(lambda: count_stored(file) == 1)
    filler = fill(small_disk)
    for frame in range(200):
        minutes = range(1 + frame * 5, 6 + frame * 5)
        seq = await publisher.bars("AAPL", some_bars("AAPL", minutes))
    await until(lambda: "the disk refuses" in store.failing())
    shows("a full disk", store.failing())
    filler.unlink()
    await store.ready()
    reply, _ = await ask("AAPL", min_seq={str(lane_of("AAPL")): seq})
    assert reply.rows == count_stored(file) == 1_001
    assert store.log.read_text().count("store.write_failed") == 1
    assert "free space" in store.log.read_text()
