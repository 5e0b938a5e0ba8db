"""Rows that are written together, or not at all."""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from lean_lite.errors import StoreError

type Row = tuple[str | float | None, ...]
type Rows = Mapping[str, Sequence[Row]]

# About 250,000 bars. A batch that wrote a part of its rows earlier would no longer be one.
BATCH_BYTES = 128 * 2**20


class RowBatch:
    """Hold the rows of one batch by table, and know how much memory they take."""

    def __init__(self) -> None:
        """Start with none."""
        self.rows: dict[str, list[Row]] = {}
        self.size_bytes = 0

    def add(self, table: str, rows: Sequence[Row], size_bytes: int) -> None:
        """Take more rows of a table."""
        self.rows.setdefault(table, []).extend(rows)
        self.size_bytes += size_bytes

    def merge(self, inner: "RowBatch") -> None:
        """Take the rows of a batch that ended inside this one."""
        for table, rows in inner.rows.items():
            self.add(table, rows, 0)
        self.size_bytes += inner.size_bytes


class RowBatches:
    """
    Hold the open batches, each for the task that opened it, or for the thread outside of tasks.

    Nobody else's rows get into a batch: not those of a task or a thread that was started in it.
    """

    def __init__(self, write: Callable[[Rows], None]) -> None:
        """Start with none; `write` gets the rows of each batch that ends well."""
        self._write = write
        # Each opener touches only its own entry, so there is nothing to lock.
        self._open: dict[object, list[RowBatch]] = {}

    def save(self, table: str, rows: Sequence[Row]) -> None:
        """Put rows into the caller's innermost batch, or write them now; StoreError when full."""
        batches = self._open.get(_opener())
        if not batches:
            self._write({table: rows})
            return
        size_bytes = sum(map(_size_bytes, rows))
        if size_bytes + sum(batch.size_bytes for batch in batches) > BATCH_BYTES:
            message = f"a batch holds {BATCH_BYTES >> 20} MiB and this is more: make several of it"
            raise StoreError(message)
        batches[-1].add(table, rows, size_bytes)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Be a batch; its rows go to the one around it, or are written, unless something raises."""
        opener, batch = _opener(), RowBatch()
        batches = self._open.setdefault(opener, [])
        batches.append(batch)
        outer: RowBatch | None = None
        try:
            yield
        finally:
            # Generators may end their batches in any order: the one around is looked up only now.
            at = batches.index(batch)
            outer = batches[at - 1] if at else None
            del batches[at]
            if not batches:
                self._open.pop(opener, None)
        if outer is not None:
            outer.merge(batch)
        elif batch.rows:
            self._write(batch.rows)


def _opener() -> object:
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return task or threading.current_thread()


def _size_bytes(row: Row) -> int:
    return sys.getsizeof(row) + sum(map(sys.getsizeof, row))
