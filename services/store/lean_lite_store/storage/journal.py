"""Journal: one row per flush, feed, resolution and UTC day, each with an encoded block."""

import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import apsw

from lean_lite.blocks import Block, decode_block, encode_block
from lean_lite.errors import DecodeError, StoreError
from lean_lite_store.storage.database import open_reader


class Entry(NamedTuple):
    """One row of the journal; `bars` of its block's rows are new bars or revisions."""

    day: int
    bars: int
    block: Block


class Undecodable(NamedTuple):
    """Frame whose payload can't be decoded."""

    seq: int
    subject: str
    error: str
    data: bytes


def write_entry(connection: apsw.Connection, entry: Entry) -> None:
    """Append a row, inside a transaction."""
    block = entry.block
    data = encode_block(block)
    connection.execute(
        "INSERT INTO journal(feed, res_s, day, n, bars, crc, data) VALUES(?, ?, ?, ?, ?, ?, ?)",
        (
            block.feed,
            block.resolution.seconds,
            entry.day,
            len(block),
            entry.bars,
            zlib.crc32(data),
            data,
        ),
    )


def write_undecodable(connection: apsw.Connection, frame: Undecodable) -> None:
    """Store a frame's bytes, inside a transaction."""
    connection.execute("INSERT INTO undecodable VALUES(?, ?, ?, ?)", frame)


def journaled_days(connection: apsw.Connection) -> set[int]:
    """Return the UTC days that have rows."""
    return {day for (day,) in connection.execute("SELECT DISTINCT day FROM journal")}


def read_day(connection: apsw.Connection, day: int) -> Iterator[Block]:
    """Yield the blocks of a UTC day in the order stored; StoreError when one is damaged."""
    rows = connection.execute(
        "SELECT seq, crc, data FROM journal WHERE day = ? ORDER BY seq", (day,)
    )
    return (_block(*row) for row in rows)


def read_journal(path: Path | str) -> Iterator[Block]:
    """
    Yield every journaled block of a store file in the order stored, INVALID rows included.

    Blocks have the columns `seq` and `stored_ns`. The service may be running. StoreError when the
    file can't be read or a block is damaged.
    """
    with closing(open_reader(Path(path))) as connection:
        for row in connection.execute("SELECT seq, crc, data FROM journal ORDER BY seq"):
            yield _block(*row)


def _block(seq: int, crc: int, data: bytes) -> Block:
    if zlib.crc32(data) != crc:
        message = (
            f"journal row {seq} is damaged: its checksum does not match; restore the store file "
            "or move it away: the store then reads the stream from its start"
        )
        raise StoreError(message)
    try:
        return decode_block(data)
    except DecodeError as error:
        message = f"journal row {seq} can't be read: {error}"
        raise StoreError(message) from error
