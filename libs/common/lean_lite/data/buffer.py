"""DataBuffer: bounded, thread-safe buffer of the newest bars and quotes."""

import threading
from collections import deque
from collections.abc import Iterable, Iterator

from lean_lite.model import QuoteBar, TradeBar

MAX_BYTES = 64 * 1024**2
# Memory of a record with its numbers and its timestamp, as `tracemalloc` counts it.
TRADE_BYTES = 352
QUOTE_BYTES = 440

BarOrQuote = TradeBar | QuoteBar


class DataBuffer:
    """
    Bounded buffer of the newest bars and quotes, in the order in which they were added.

    At a bound, the record that was added first is evicted. Thread-safe.

    Args:
        max_size: maximum number of records.
        max_bytes: bound of their memory, in bytes.

    Attributes:
        evicted: number of evicted records.

    Raises:
        ValueError: a bound has no room for one record.
    """

    def __init__(self, max_size: int = 10_000, max_bytes: int = MAX_BYTES) -> None:
        if max_size < 1 or max_bytes < QUOTE_BYTES:
            message = (
                f"max_size must be 1 or more, not {max_size}, and max_bytes {QUOTE_BYTES} or more, "
                f"not {max_bytes}"
            )
            raise ValueError(message)
        self.max_size = max_size
        self.max_bytes = max_bytes
        self.evicted = 0
        self._bytes = 0
        self._records: deque[BarOrQuote] = deque()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._records)

    def __iter__(self) -> Iterator[BarOrQuote]:
        """Iterate over a copy of the current records, oldest first."""
        return iter(self.get_latest())

    @property
    def utilization(self) -> float:
        """Percentage in use, 0 to 100, of the bound that is closer to being reached."""
        shares = len(self._records) / self.max_size, self._bytes / self.max_bytes
        return 100.0 * max(shares)

    def add(self, record: BarOrQuote) -> None:
        """
        Add a record.

        Args:
            record: a bar or quote.

        Raises:
            TypeError: the record is neither.
        """
        size = _size_of(record)
        with self._lock:
            while len(self._records) >= self.max_size or self._bytes + size > self.max_bytes:
                self._bytes -= _size_of(self._records.popleft())
                self.evicted += 1
            self._records.append(record)
            self._bytes += size

    def extend(self, records: Iterable[BarOrQuote]) -> None:
        """
        Add records one by one.

        Args:
            records: bars or quotes.

        Raises:
            TypeError: a record is neither; those before it stay added.
        """
        for record in records:
            self.add(record)

    def get_latest(self, count: int | None = None, symbol: str | None = None) -> list[BarOrQuote]:
        """
        Return the newest records.

        Args:
            count: maximum number of records; None returns all.
            symbol: only records of this symbol.

        Returns:
            A new list, newest last.

        Raises:
            ValueError: `count` is negative.
        """
        if count is not None and count < 0:
            message = f"count must be 0 or more, not {count}"
            raise ValueError(message)
        with self._lock:
            found = [one for one in self._records if symbol is None or one.symbol == symbol]
        return found if count is None else found[len(found) - min(count, len(found)) :]

    def clear(self) -> None:
        """Remove all records, without counting them in `evicted`."""
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
