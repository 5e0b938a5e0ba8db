"""Daily bars that grow with every minute."""

from lean_lite_sim.market.bar import Bar
from lean_lite_sim.market.market import Market
from lean_lite_sim.market.timeframe import Timeframe, fold, is_regular, round_vwap
from lean_lite_sim.market.timestamps import MINUTE_NS

_DAY = Timeframe(1, "D")


class DailyBars:
    """The day so far of every symbol, carried forward while minutes are asked for in a row."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._days: dict[str, Bar] = {}
        self._minute_ns = 0

    def after(self, minutes: list[Bar], minute_ns: int) -> list[Bar]:
        """Give the daily bars that the bars of one minute lead to; none outside the session."""
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
