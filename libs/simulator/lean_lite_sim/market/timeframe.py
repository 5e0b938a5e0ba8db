"""Longer bars: a timeframe, minutes folded to it, and daily bars that grow by the minute."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import time, timedelta
from itertools import groupby
from typing import Final, Literal
from zoneinfo import ZoneInfo

from lean_lite_sim.market.bar import Bar
from lean_lite_sim.market.market import Market, kind_of
from lean_lite_sim.market.synthetic import REGULAR_MINUTES, REGULAR_OPEN
from lean_lite_sim.market.timestamps import (
    CHICAGO,
    HOUR_NS,
    MINUTE_NS,
    NEW_YORK,
    local_day,
    local_instant,
    local_midnight,
)

_FORM: Final = re.compile(r"(\d+)(Min|T|Hour|H|Day|D)")
_MOST: Final = {"M": 59, "H": 23, "D": 1}


@dataclass(frozen=True, slots=True)
class Timeframe:
    """Length of a bar: `count` minutes (unit M), hours (H) or days (D)."""

    count: int
    unit: Literal["M", "H", "D"]

    @property
    def is_minute(self) -> bool:
        """Whether bars need no folding."""
        return self.unit == "M" and self.count == 1

    def start_of(self, bar: Bar) -> int:
        """Return the start of the long bar that contains a minute."""
        return self.floor(bar.symbol, bar.start_ns)

    def floor(self, symbol: str, instant_ns: int) -> int:
        """
        Return the start of the symbol's long bar that contains a time.

        Minutes and hours count from midnight: New York's for stocks, UTC for crypto. Days are New
        York's for stocks and Chicago's for crypto.
        """
        if self.unit == "D":
            return local_midnight(instant_ns, _day_zone(symbol))
        length_ns = self.count * (MINUTE_NS if self.unit == "M" else HOUR_NS)
        crypto = kind_of(symbol) == "crypto"
        midnight = 0 if crypto else local_midnight(instant_ns, NEW_YORK)
        return midnight + (instant_ns - midnight) // length_ns * length_ns

    def end(self, symbol: str, start_ns: int) -> int:
        """Return the end of the symbol's long bar that starts at a time."""
        if self.unit == "D":
            zone = _day_zone(symbol)
            tomorrow = local_day(start_ns, zone) + timedelta(days=1)
            return local_instant(tomorrow, time(), zone)
        return start_ns + self.count * (MINUTE_NS if self.unit == "M" else HOUR_NS)


_DAY: Final = Timeframe(1, "D")


def parse_timeframe(text: str) -> Timeframe:
    """Parse `1Min` … `59Min`, `1Hour` … `23Hour` or `1Day`; raise ValueError for the rest."""
    found = _FORM.fullmatch(text)
    unit: Literal["M", "H", "D"] = "M"
    if found is not None and found[2][0] in "HD":
        unit = "H" if found[2][0] == "H" else "D"
    if found is None or not 1 <= int(found[1]) <= _MOST[unit]:
        message = f"invalid timeframe: {text}"
        raise ValueError(message)
    return Timeframe(int(found[1]), unit)


def fold_bars(bars: Iterable[Bar], timeframe: Timeframe) -> Iterator[Bar]:
    """
    Fold one symbol's minutes, in order of time, into long bars.

    A day of a stock has its regular session only.
    """
    included = filter(is_regular, bars) if timeframe.unit == "D" else bars
    for start_ns, minutes in groupby(included, timeframe.start_of):
        yield round_vwap(fold(start_ns, list(minutes)))


def fold(start_ns: int, minutes: list[Bar]) -> Bar:
    """Fold bars into one; VWAP (not rounded) and trade count only if all of them have both."""
    volume = sum(bar.volume for bar in minutes)
    counts = [bar.trade_count for bar in minutes if bar.trade_count is not None]
    amounts = [bar.vwap * bar.volume for bar in minutes if bar.vwap is not None]
    complete = len(counts) == len(amounts) == len(minutes) and volume > 0
    return Bar(
        minutes[0].symbol,
        start_ns,
        minutes[0].open,
        max(bar.high for bar in minutes),
        min(bar.low for bar in minutes),
        minutes[-1].close,
        volume,
        sum(counts) if complete else None,
        sum(amounts) / volume if complete else None,
    )


def round_vwap(bar: Bar) -> Bar:
    """Round the VWAP of a folded bar to the six digits that are sent."""
    return bar if bar.vwap is None else bar._replace(vwap=round(bar.vwap, 6))


def is_regular(bar: Bar) -> bool:
    """Return whether a bar is in the regular session; crypto always is."""
    if kind_of(bar.symbol) == "crypto":
        return True
    opens = local_instant(local_day(bar.start_ns, NEW_YORK), REGULAR_OPEN, NEW_YORK)
    return opens <= bar.start_ns < opens + REGULAR_MINUTES * MINUTE_NS


class DailyBars:
    """The day so far of every symbol; continued while minutes are requested in a row."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._days: dict[str, Bar] = {}
        self._minute_ns = 0

    def after(self, minutes: list[Bar], minute_ns: int) -> list[Bar]:
        """Return the daily bars after the bars of one minute; none outside the session."""
        if minute_ns != self._minute_ns + MINUTE_NS:
            self._days.clear()
        self._minute_ns = minute_ns
        return [round_vwap(self._grow(bar)) for bar in minutes if is_regular(bar)]

    def _grow(self, bar: Bar) -> Bar:
        start_ns = _DAY.start_of(bar)
        so_far = self._days.get(bar.symbol)
        if so_far is not None and so_far.start_ns == start_ns:
            grown = fold(start_ns, [so_far, bar])
        else:
            until_now = self._market.bars(bar.symbol, start_ns, bar.start_ns)
            grown = fold(start_ns, [minute for minute in until_now if is_regular(minute)])
        self._days[bar.symbol] = grown
        return grown


def _day_zone(symbol: str) -> ZoneInfo:
    return CHICAGO if kind_of(symbol) == "crypto" else NEW_YORK
