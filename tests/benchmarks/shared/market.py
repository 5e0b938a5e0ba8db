"""
Bars of a market that does not exist, the same for the same seed.

Needs nothing but the standard library, because peers run in an environment of their own.
"""

import hashlib
import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

SEED = 20_261_122
MINUTE_NS = 60_000_000_000
NEW_YORK = ZoneInfo("America/New_York")
TRADING_DAYS = 252
MINUTES_OF_DAY = 390
WEEKEND = 5
SAMPLED = slice(1_000, None, 997)  # places at which the lines of a year are compared
FIRST_NS = 1_767_623_400_000_000_000  # 2026-01-05 14:30 UTC, a Monday


class Row(NamedTuple):
    """Hold one bar; prices have two decimals."""

    symbol: str
    start_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float
    trade_count: int


def symbols(count: int) -> list[str]:
    """Return so many names of shares."""
    letters = itertools.product("ABCDEFGHIJKLMNOPQRSTUVWXYZ", repeat=3)
    return ["".join(name) for name in itertools.islice(letters, count)]


def minutes(names: Sequence[str], first: int, count: int) -> Iterator[Row]:
    """Yield a bar of every symbol for each of some minutes, numbered from the first one on."""
    starts = range(FIRST_NS + first * MINUTE_NS, FIRST_NS + (first + count) * MINUTE_NS, MINUTE_NS)
    return bars(names, starts, random.Random(f"{SEED} {first}"))


def year() -> Iterator[Row]:
    """Yield the minutes of regular trading of 252 weekdays, of one symbol."""
    opens = (datetime(2025, 1, 2, 9, 30, tzinfo=NEW_YORK) + timedelta(day) for day in range(366))
    weekdays = itertools.islice((day for day in opens if day.weekday() < WEEKEND), TRADING_DAYS)
    starts = (
        int(day.timestamp()) * 1_000_000_000 + minute * MINUTE_NS
        for day in weekdays
        for minute in range(MINUTES_OF_DAY)
    )
    return bars(["SPY"], starts, random.Random(SEED))


def bars(names: Sequence[str], starts: Iterable[int], chance: random.Random) -> Iterator[Row]:
    """Yield a bar of every symbol for each start: prices walk, a cent or a few at a time."""
    cents = dict.fromkeys(names, 10_000)
    for start_ns in starts:
        for name in names:
            opened = cents[name]
            path = [opened + chance.randint(-5, 5) for _ in range(3)]
            closed = cents[name] = max(path[0], 1_000)
            low, high = min(opened, closed, *path), max(opened, closed, *path)
            yield Row(
                name,
                start_ns,
                opened / 100,
                high / 100,
                low / 100,
                closed / 100,
                float(chance.randint(100, 10_000)),
                (low + high) / 200,
                chance.randint(1, 100),
            )


def digest(rows: Iterable[tuple[str, int, float, float, float, float, float]]) -> str:
    """Return what tells whether the same bars came, those of every symbol in the same order."""
    whole = hashlib.blake2b(digest_size=16)
    # Sorting keeps the order of equals; between symbols there is none to keep.
    for symbol, start_ns, *prices, volume in sorted(rows, key=lambda row: row[0]):
        told = " ".join(f"{price:.2f}" for price in prices)
        whole.update(f"{symbol} {start_ns} {told} {volume:.0f}\n".encode())
    return whole.hexdigest()
