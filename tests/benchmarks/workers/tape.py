"""Minutes of some symbols as validate publishes them: the records of a frame, then its head."""

import time
from collections.abc import Iterator
from itertools import batched

from lean_lite.bus.connection import encode
from lean_lite.protocol import subjects
from lean_lite.protocol.live import LiveBar, Watermark
from lean_lite.protocol.partitions import Lane, lane_of
from tests.benchmarks.shared import market

FEED = "iex"
EXCELLENT = 4
BURST = 100


class Tape:
    """Encode live records, a frame for each lane and minute; sequences go on from tape to tape."""

    def __init__(self, count: int) -> None:
        self.symbols = market.symbols(count)
        self._lanes: dict[Lane, list[str]] = {}
        for symbol in self.symbols:
            self._lanes.setdefault(lane_of(symbol), []).append(symbol)

    def messages(self, first: int, minutes: int) -> Iterator[tuple[str, bytes]]:
        """Yield subjects and payloads."""
        rows = market.minutes(self.symbols, first, minutes)
        for minute, of_minute in enumerate(batched(rows, len(self.symbols)), start=first):
            by_symbol = {row.symbol: row for row in of_minute}
            for place, (lane, symbols) in enumerate(self._lanes.items(), start=1):
                seq = minute * len(self._lanes) + place
                for symbol in symbols:
                    yield subjects.live_bar(symbol), encode(_record(by_symbol[symbol], seq))
                prev_seq = max(seq - len(self._lanes), 0)
                head = Watermark(seq, prev_seq, dict.fromkeys(symbols, 1))
                yield subjects.watermark(lane), encode(head)


def _record(row: market.Row, seq: int) -> LiveBar:
    bar, (vwap, trade_count) = row[:7], row[7:]
    return LiveBar(*bar, EXCELLENT, seq, FEED, time.time_ns(), vwap, trade_count)
