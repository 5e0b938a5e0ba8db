"""The journal returns blocks bit for bit, or raises an error."""

from contextlib import closing
from pathlib import Path

import apsw
import numpy as np
import pytest

from lean_lite.blocks import Block
from lean_lite.blocks.block import from_columns
from lean_lite.errors import StoreError
from lean_lite.protocol.partitions import Lane
from lean_lite.protocol.subjects import BULK_GRADED, GRADED, bulk_graded, graded
from lean_lite_store.storage.database import MIGRATIONS, open_reader, open_store, transaction
from lean_lite_store.storage.journal import (
    Entry,
    journaled_days,
    read_day,
    read_journal,
    write_entry,
)
from lean_lite_store.storage.positions import (
    read_positions,
    read_raw_seqs,
    read_stream,
    start_stream,
    write_positions,
)
from tests.harness.frames import count_stored

A, B = graded(Lane("equity", 1)), graded(Lane("equity", 2))
BULK = bulk_graded(Lane("equity", 1))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store-0.sqlite"


def noise(rows: int, seed: int) -> Block:
    """Return random bits in every column, including NaNs with payloads."""
    rng = np.random.default_rng(seed)
    floats = ("open", "high", "low", "close", "volume", "vwap")
    integers = ("start_ns", "received_ns", "trade_count", "seq", "stored_ns")
    return from_columns(
        "iex",
        [f"S{number}" for number in range(rows)],
        {
            **{name: np.frombuffer(rng.bytes(8 * rows), "<f8") for name in floats},
            **{name: np.frombuffer(rng.bytes(8 * rows), "<i8") for name in integers},
            "reasons": np.frombuffer(rng.bytes(8 * rows), "<u8"),
            "origin": np.frombuffer(rng.bytes(rows), "|u1"),
            "level": np.frombuffer(rng.bytes(rows), "|u1"),
        },
        simulated=seed % 2 == 1,
    )


def test_blocks_are_returned_bit_for_bit_in_the_order_stored(path: Path) -> None:
    sent = [noise(rows, rows) for rows in (1, 1_000, 37)]
    with closing(open_store(path)) as connection:
        for day, block in enumerate(sent):
            with transaction(connection):
                write_entry(connection, Entry(day % 2, len(block) - 1, block))
        assert journaled_days(connection) == {0, 1}
        assert [len(block) for block in read_day(connection, 0)] == [1, 37]
        assert count_stored(path) == 1_035
        stored = list(read_journal(path))
    assert len(stored) == len(sent)
    for one, other in zip(stored, sent, strict=True):
        assert (one.symbols, one.feed, one.simulated) == (
            other.symbols,
            other.feed,
            other.simulated,
        )
        for name, column in other.columns.items():
            assert one[name].tobytes() == column.tobytes()


def test_a_damaged_row_is_reported_and_not_returned(path: Path) -> None:
    with closing(open_store(path)) as connection:
        write_entry(connection, Entry(0, 3, noise(3, 0)))
        connection.execute("UPDATE journal SET data = zeroblob(length(data))")
    with pytest.raises(StoreError, match="journal row 1 is damaged"):
        list(read_journal(path))


def _write_and_fail(connection: apsw.Connection) -> None:
    write_entry(connection, Entry(0, 3, noise(3, 0)))
    write_positions(connection, {A: 1}, {})
    connection.execute("INSERT INTO undecodable VALUES(NULL, NULL, NULL, NULL)")


def test_a_failed_transaction_leaves_neither_rows_nor_positions(path: Path) -> None:
    with closing(open_store(path)) as connection:
        with pytest.raises(apsw.ConstraintError), transaction(connection):
            _write_and_fail(connection)
        assert (count_stored(path), read_positions(connection)) == (0, {})


def test_a_new_stream_deletes_positions_and_keeps_bars(path: Path) -> None:
    with closing(open_store(path)) as connection:
        assert read_stream(connection, GRADED) is None
        write_entry(connection, Entry(0, 3, noise(3, 0)))
        write_positions(connection, {A: 1, B: 2}, {})
        write_positions(connection, {B: 3}, {})
        write_positions(connection, {BULK: 4}, {BULK: 9})
        assert read_positions(connection) == {A: 1, B: 3, BULK: 4}
        start_stream(connection, GRADED, 77)
        assert read_positions(connection) == {BULK: 4}
        assert (read_stream(connection, GRADED), read_stream(connection, BULK_GRADED)) == (77, None)
        assert read_raw_seqs(connection, BULK_GRADED) == {"equity.1": 9}
    assert count_stored(path) == 3


def test_the_file_is_opened_with_the_required_pragmas(path: Path) -> None:
    with closing(open_store(path)) as connection:
        found = [
            connection.pragma(name)
            for name in ("page_size", "journal_mode", "synchronous", "wal_autocheckpoint")
        ]
    assert found == [8192, "wal", 2, 0]


def test_a_file_of_a_newer_version_is_refused_with_advice_to_upgrade(path: Path) -> None:
    with closing(open_store(path)) as connection:
        connection.execute("UPDATE meta SET value = ?", (len(MIGRATIONS) + 1,))
    with pytest.raises(StoreError, match="upgrade"):
        open_store(path)


def test_a_file_that_is_not_a_database_is_refused_with_advice(path: Path) -> None:
    path.write_bytes(b"bars" * 4_096)
    with pytest.raises(StoreError, match="move the file away"):
        open_store(path)
    with pytest.raises(StoreError, match="not a readable store file"):
        open_reader(path)


def test_sqlite_is_new_enough_for_a_second_connection_to_checkpoint() -> None:
    assert apsw.SQLITE_VERSION_NUMBER >= 3_051_003
