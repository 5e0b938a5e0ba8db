"""Market: the bars of all symbols, by symbol and by minute."""

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, time
from typing import Final, Literal

from lean_lite_sim.market.bar import Bar
from lean_lite_sim.market.recordings import RECORDED_CRYPTO, RECORDED_STOCKS, load_recorded_symbol
from lean_lite_sim.market.synthetic import (
    FULL_DAY_MINUTES,
    REGULAR_MINUTES,
    REGULAR_OPEN,
    SyntheticWalk,
)
from lean_lite_sim.market.timestamps import MINUTE_NS, NEW_YORK, local_day, local_instant
from lean_lite_sim.market.trading_days import latest_full_days

Kind = Literal["stocks", "crypto", "test"]

TEST_SYMBOL: Final = "FAKEPACA"
SYNTHETIC_DAYS: Final = 6


class Market:
    """
    The recorded symbols on their new days, the synthetic ones, and FAKEPACA.

    Bars are final; faults are applied later. Raises ValueError for a synthetic symbol that is
    recorded.
    """

    def __init__(self, today: date, *, synthetic: Iterable[str] = (), seed: int = 0) -> None:
        recorded = {s: load_recorded_symbol(s, today) for s in RECORDED_STOCKS + RECORDED_CRYPTO}
        self._recorded = {symbol: found.bars for symbol, found in recorded.items()}
        self._starts = {s: [bar.start_ns for bar in bars] for s, bars in self._recorded.items()}
        self._by_minute = _by_minute(self._recorded)
        self._shared_days = set.intersection(*(set(found.days) for found in recorded.values()))
        self._synthetic = dict.fromkeys(synthetic)
        if repeated := self._synthetic.keys() & self._recorded.keys():
            message = f"{min(repeated)} is recorded: choose another name for a synthetic symbol"
            raise ValueError(message)
        self._synthetic_days = latest_full_days(SYNTHETIC_DAYS, today)
        self._walk = SyntheticWalk(seed)
        self._test_walk = SyntheticWalk(seed, opens=time(), minutes=FULL_DAY_MINUTES)

    @property
    def symbols(self) -> list[str]:
        """The names of all symbols."""
        return [*self._recorded, *self._synthetic, TEST_SYMBOL]

    def opens(self) -> list[int]:
        """List the opens (09:30 New York) of the days that every symbol has, in order."""
        return [local_instant(day, REGULAR_OPEN, NEW_YORK) for day in sorted(self._shared_days)]

    def prepare_day(self, instant_ns: int) -> None:
        """Generate the synthetic walks of a day in advance, which is slow for many symbols."""
        day = local_day(instant_ns, NEW_YORK)
        self.starting_at("stocks", local_instant(day, REGULAR_OPEN, NEW_YORK))

    def starting_at(self, kind: Kind, start_ns: int) -> list[Bar]:
        """List the bars of one kind that start at a time, in order of symbols."""
        if kind == "test":
            return _present([self._test_walk.bar(TEST_SYMBOL, start_ns)])
        recorded = self._by_minute.get((kind, start_ns), [])
        if kind == "crypto" or not self._synthetic or not self._is_synthetic_day(start_ns):
            return recorded
        return recorded + _present(self._walk.bar(s, start_ns) for s in self._synthetic)

    def bars(self, symbol: str, first_ns: int, last_ns: int) -> Sequence[Bar]:
        """List the bars of a symbol that start between two times, both included."""
        if symbol in self._recorded:
            starts = self._starts[symbol]
            return self._recorded[symbol][
                bisect_left(starts, first_ns) : bisect_right(starts, last_ns)
            ]
        if symbol in self._synthetic:
            return list(self._synthetic_bars(symbol, first_ns, last_ns))
        return []

    def latest(self, symbol: str, last_ns: int) -> Bar | None:
        """Return the last bar of a symbol that starts at or before a time."""
        if symbol in self._recorded:
            index = bisect_right(self._starts[symbol], last_ns)
            return self._recorded[symbol][index - 1] if index else None
        for opens in reversed(self._synthetic_opens() if symbol in self._synthetic else []):
            if opens <= last_ns:
                closing = opens + (REGULAR_MINUTES - 1) * MINUTE_NS
                return self._walk.bar(symbol, min(_floor_minute(last_ns), closing))
        return None

    def _synthetic_bars(self, symbol: str, first_ns: int, last_ns: int) -> Iterator[Bar]:
        for opens in self._synthetic_opens():
            closes = opens + REGULAR_MINUTES * MINUTE_NS
            minute = max(opens, -(-first_ns // MINUTE_NS) * MINUTE_NS)
            while minute < closes and minute <= last_ns:
                yield from _present([self._walk.bar(symbol, minute)])
                minute += MINUTE_NS

    def _synthetic_opens(self) -> list[int]:
        return [local_instant(day, REGULAR_OPEN, NEW_YORK) for day in self._synthetic_days]

    def _is_synthetic_day(self, start_ns: int) -> bool:
        return local_day(start_ns, NEW_YORK) in self._synthetic_days


def kind_of(symbol: str) -> Kind:
    """Return the kind of a symbol by its form."""
    if symbol == TEST_SYMBOL:
        return "test"
    return "crypto" if "/" in symbol else "stocks"


def _by_minute(recorded: Mapping[str, Sequence[Bar]]) -> dict[tuple[Kind, int], list[Bar]]:
    found: dict[tuple[Kind, int], list[Bar]] = defaultdict(list)
    for symbol in sorted(recorded):
        for bar in recorded[symbol]:
            found[kind_of(symbol), bar.start_ns].append(bar)
    return dict(found)


def _present(bars: Iterable[Bar | None]) -> list[Bar]:
    return [bar for bar in bars if bar is not None]


def _floor_minute(instant_ns: int) -> int:
    return instant_ns // MINUTE_NS * MINUTE_NS


_STOCK: Final = re.compile(r"[A-Z][A-Z0-9]{0,11}([.-][A-Z0-9]{1,4}){0,2}")
_PAIR: Final = re.compile(r"[A-Z0-9]{1,12}/[A-Z0-9]{1,12}")


def is_well_formed(symbol: str, kind: Kind) -> bool:
    """Return whether a symbol could exist: `BRK.B` for stocks, `BTC/USD` for crypto."""
    form = _PAIR if kind == "crypto" else _STOCK
    return form.fullmatch(symbol) is not None
