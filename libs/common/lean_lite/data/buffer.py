"""The newest records, in a bounded buffer that any thread may use."""

import threading
from collections import deque
from collections.abc import Iterable, Iterator

from lean_lite.model import QuoteBar, TradeBar

MAX_BYTES = 64 * 1024**2
# What a record takes in memory with its numbers and its moment, as `tracemalloc` counts it.
TRADE_BYTES = 352
QUOTE_BYTES = 440

Record = TradeBar | QuoteBar


class DataBuffer:
    """
    Keep the newest records, in the order they were added.

    When `max_size` records or `max_bytes` are reached, the one that was added longest ago goes, and
    is counted in `evicted`. Every method is thread-safe.
    """

    def __init__(self, max_size: int = 10_000, max_bytes: int = MAX_BYTES) -> None:
        """Start empty; ValueError when a bound leaves room for nothing."""
        if max_size < 1 or max_bytes < QUOTE_BYTES:
            message = (
                f"a buffer holds one record at least: max_size={max_size} must be 1 or more and "
                f"max_bytes={max_bytes} at least {QUOTE_BYTES}"
            )
            raise ValueError(message)
        self.max_size = max_size
        self.max_bytes = max_bytes
        self.evicted = 0
        self._bytes = 0
        self._records: deque[Record] = deque()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        """Yield the records of this moment, oldest first."""
        return iter(self.get_latest())

    @property
    def utilization(self) -> float:
        """Return how full the buffer is, 0 to 100, by whichever bound is nearer."""
        shares = len(self._records) / self.max_size, self._bytes / self.max_bytes
        return 100.0 * max(shares)

    def add(self, record: Record) -> None:
        """Add a record; TypeError when it is no bar."""
        size = _size_of(record)
        with self._lock:
            while len(self._records) >= self.max_size or self._bytes + size > self.max_bytes:
                self._bytes -= _size_of(self._records.popleft())
                self.evicted += 1
            self._records.append(record)
            self._bytes += size

    def extend(self, records: Iterable[Record]) -> None:
        """Add records, one after the other."""
        for record in records:
            self.add(record)

    def get_latest(self, count: int | None = None, symbol: str | None = None) -> list[Record]:
        """Return the newest records, all without a `count`, of one symbol if named; newest last."""
        if count is not None and count < 0:
            message = f"a count is nought or more, not {count}"
            raise ValueError(message)
        with self._lock:
            found = [one for one in self._records if symbol is None or one.symbol == symbol]
        return found if count is None else found[len(found) - min(count, len(found)) :]

    def clear(self) -> None:
        """Remove all records."""
        with self._lock:
            self._records.clear()
            self._bytes = 0


def _size_of(record: object) -> int:
    if isinstance(record, TradeBar):
        return TRADE_BYTES
    if isinstance(record, QuoteBar):
        return QUOTE_BYTES
    message = f"a buffer holds TradeBar and QuoteBar, not {type(record).__name__}"
    raise TypeError(message)
