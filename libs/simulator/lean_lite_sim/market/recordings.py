"""Recorded minute bars of this package, moved to the latest trading days."""

import csv
import gzip
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, tzinfo
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

from lean_lite_sim.market.bar import Bar
from lean_lite_sim.market.timestamps import NEW_YORK, SECOND_NS
from lean_lite_sim.market.trading_days import latest_full_days

RECORDED_STOCKS: Final = ("AAPL", "SPY")
RECORDED_CRYPTO: Final = ("BTC/USD",)


class RecordedSymbol(NamedTuple):
    """The bars of one symbol in order of time, and the trading days that they were moved to."""

    days: list[date]
    bars: list[Bar]


class _Row(NamedTuple):
    day: str
    minute: time
    open: float
    high: float
    low: float
    close: float
    volume: float


def load_recorded_symbol(symbol: str, today: date) -> RecordedSymbol:
    """
    Read a recorded symbol and move its days, in order, onto the latest ones before `today`.

    The time of day stays: New York's for stocks, UTC for crypto.
    """
    rows = _read_rows(symbol)
    recorded = sorted({row.day for row in rows})
    days = latest_full_days(len(recorded), today)
    new_days = dict(zip(recorded, days, strict=True))
    zone = UTC if "/" in symbol else NEW_YORK
    return RecordedSymbol(days, [_move(symbol, row, new_days[row.day], zone) for row in rows])


def _move(symbol: str, row: _Row, day: date, zone: tzinfo) -> Bar:
    start = datetime.combine(day, row.minute, zone)
    return Bar(symbol, int(start.timestamp()) * SECOND_NS, *row[2:])


@cache
def _read_rows(symbol: str) -> list[_Row]:
    name = symbol.replace("/", "-") + ".csv.gz"
    compressed = (files("lean_lite_sim") / "recordings" / name).read_bytes()
    lines = gzip.decompress(compressed).decode().splitlines()
    is_stock = "/" not in symbol
    return [_parse_row(cells, is_stock=is_stock) for cells in csv.reader(lines[1:])]


def _parse_row(cells: Sequence[str], *, is_stock: bool) -> _Row:
    day, minute, open_, high, low, close, volume = cells
    return _Row(
        day,
        time.fromisoformat(minute),
        float(open_),
        float(high),
        float(low),
        float(close),
        int(volume) if is_stock else float(volume),
    )
