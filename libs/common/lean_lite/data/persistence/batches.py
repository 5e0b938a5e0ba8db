"""
Batches: rows that are written in one transaction or not at all.

A batch is held in memory rather than as an open SQLite transaction: the file has one connection,
and a transaction across an `await` would contain other tasks' rows and block other processes.
The batches are found by the task or thread that opened them, in a dict. A context variable would
not do: a task or `asyncio.to_thread` inherits the context of its creator, so its rows would enter
the creator's batch, and an asynchronous generator may end its batch in another task's context.
"""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from lean_lite.errors import StoreError

type Row = tuple[str | float | None, ...]
type Rows = Mapping[str, Sequence[Row]]

# About 250,000 bars. Rows can't be written early to free memory: the batch may still fail.
BATCH_BYTES = 128 * 2**20


class RowBatch:
    """Rows of one batch by table, and the memory they take."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Row]] = {}
        self.size_bytes = 0

    def add(self, table: str, rows: Sequence[Row], size_bytes: int) -> None:
        """Add rows of a table."""
        self.rows.setdefault(table, []).extend(rows)
        self.size_bytes += size_bytes

    def merge(self, inner: "RowBatch") -> None:
        """Add the rows of a nested batch."""
        for table, rows in inner.rows.items():
            self.add(table, rows, 0)
        self.size_bytes += inner.size_bytes


class RowBatches:
    """
    Open batches by owner: the task that opened them, or the thread outside of tasks.

    Rows saved by a task or thread that the owner has started are not part of its batch.

    Args:
        write: writes the rows of each batch that ends without an error, and rows saved outside
            of batches.
    """

    def __init__(self, write: Callable[[Rows], None]) -> None:
        self._write = write
        # Each owner accesses its own entry only, so no lock is needed.
        self._open: dict[object, list[RowBatch]] = {}

    def save(self, table: str, rows: Sequence[Row]) -> None:
        """Add rows to the caller's innermost batch, or write them; StoreError if it is full."""
        batches = self._open.get(_current_owner())
        if not batches:
            self._write({table: rows})
            return
        size_bytes = sum(map(_size_bytes, rows))
        if size_bytes + sum(batch.size_bytes for batch in batches) > BATCH_BYTES:
            message = (
                f"a batch holds at most {BATCH_BYTES >> 20} MiB: split it into several batches"
            )
            raise StoreError(message)
        batches[-1].add(table, rows, size_bytes)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Open a batch; merge it into the outer one or write it, unless something raises."""
        owner, batch = _current_owner(), RowBatch()
        batches = self._open.setdefault(owner, [])
        batches.append(batch)
        outer: RowBatch | None = None
        try:
            yield
        finally:
            # Generators may end their batches in any order, so the outer one is looked up now.
            at = batches.index(batch)
            outer = batches[at - 1] if at else None
            del batches[at]
            if not batches:
                self._open.pop(owner, None)
        if outer is not None:
            outer.merge(batch)
        elif batch.rows:
            self._write(batch.rows)


def _current_owner() -> object:
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return task or threading.current_thread()


def _size_bytes(row: Row) -> int:
    return sys.getsizeof(row) + sum(map(sys.getsizeof, row))
