"""SyntheticWalk: random bars for load tests, one a minute, the same for the same seed."""

from array import array
from datetime import date, time
from itertools import accumulate
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from lean_lite_sim.market.bar import Bar
from lean_lite_sim.market.randomness import named_seed
from lean_lite_sim.market.timestamps import MINUTE_NS, NEW_YORK, local_day, local_instant

REGULAR_OPEN: Final = time(9, 30)
REGULAR_MINUTES: Final = 390
FULL_DAY_MINUTES: Final = 1440

_STEPS_CENTS: Final = (-5, -3, -2, -1, 0, 0, 1, 2, 3, 5)
_LOWEST_CENTS: Final = 500
_MASK: Final = 2**64 - 1


def synthetic_symbol(index: int) -> str:
    """Return the name of a synthetic symbol: SYN0000, SYN0001 and so on."""
    return f"SYN{index:04}"


class SyntheticWalk:
    """
    Random walk in cents of any number of symbols, from the open of every local day.

    Only the closes of a day are stored (390 ints); the rest of a bar follows from its minute, so
    that any bar can be generated without those before it.
    """

    def __init__(
        self,
        seed: int,
        opens: time = REGULAR_OPEN,
        minutes: int = REGULAR_MINUTES,
        zone: ZoneInfo = NEW_YORK,
    ) -> None:
        self._seed = seed
        self._opens = opens
        self._minutes = minutes
        self._zone = zone
        self._closes: dict[tuple[str, date], array[int]] = {}

    def bar(self, symbol: str, start_ns: int) -> Bar | None:
        """Return the bar that starts at a time; None outside the session."""
        day = local_day(start_ns, self._zone)
        open_ns = local_instant(day, self._opens, self._zone)
        minute, remainder_ns = divmod(start_ns - open_ns, MINUTE_NS)
        if remainder_ns or not 0 <= minute < self._minutes:
            return None
        closes = self._closes.get((symbol, day)) or self._walk(symbol, day)
        return _shape(symbol, start_ns, closes[minute], closes[minute + 1])

    def _walk(self, symbol: str, day: date) -> "array[int]":
        base = named_seed(self._seed, symbol)
        random = Random(base ^ day.toordinal())  # noqa: S311 - a market, not a secret
        steps = random.choices(_STEPS_CENTS, k=self._minutes)
        first = 2_000 + base % 48_000
        walk = array("q", (max(c, _LOWEST_CENTS) for c in accumulate(steps, initial=first)))
        self._closes[symbol, day] = walk
        return walk


def _shape(symbol: str, start_ns: int, opened: int, closed: int) -> Bar:
    bits = _mix(start_ns ^ opened << 20 ^ closed << 40)
    high = max(opened, closed) + (bits & 7)
    low = min(opened, closed) - (bits >> 3 & 7)
    volume = 100 + (bits >> 6 & 0x3FFF)
    middle = (opened + high + low + closed) / 400
    return Bar(
        symbol,
        start_ns,
        opened / 100,
        high / 100,
        low / 100,
        closed / 100,
        volume,
        1 + volume // (20 + (bits >> 20 & 63)),
        round(middle, 6),
    )


def _mix(value: int) -> int:
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _MASK
    return value ^ value >> 31
