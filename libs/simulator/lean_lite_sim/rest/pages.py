"""BarPages: bars of a request, in pages."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from lean_lite_sim.market.bar import Bar
from lean_lite_sim.market.market import Market
from lean_lite_sim.market.timeframe import fold_bars
from lean_lite_sim.market.timestamps import MINUTE_NS
from lean_lite_sim.rest.bar_query import BarQuery
from lean_lite_sim.rest.page_token import PageToken, encode_page_token
from lean_lite_sim.timeline import Timeline


class Page(NamedTuple):
    """Bars in order, and the token of the next page; None for the last one."""

    bars: list[Bar]
    next_token: str | None


class BarPages:
    """Bars that have ended at a feed time."""

    def __init__(self, market: Market, timeline: Timeline) -> None:
        self._market = market
        self._timeline = timeline

    def page(self, query: BarQuery, now_ns: int) -> Page:
        """Return at most `limit` bars over all symbols of a query."""
        found = list(islice(self._rest(query, now_ns), query.limit + 1))
        if len(found) <= query.limit:
            return Page(found, None)
        bars = found[: query.limit]
        token = PageToken(bars[-1].symbol, bars[-1].start_ns)
        return Page(
            bars,
            encode_page_token(token, query.timeframe.unit, descending=query.descending),
        )

    def latest(self, symbol: str, now_ns: int) -> Bar | None:
        """Return the last minute of a symbol that has ended."""
        bar = self._market.latest(symbol, now_ns - MINUTE_NS)
        return None if bar is None else self._timeline.version_at(bar, now_ns)

    def _rest(self, query: BarQuery, now_ns: int) -> Iterator[Bar]:
        token = query.token
        for symbol in query.symbols:
            if token is None or symbol > token.symbol:
                yield from self._between(query, symbol, query.start_ns, query.end_ns, now_ns)
            elif symbol == token.symbol and query.descending:
                last_ns = min(query.end_ns, token.start_ns - 1)
                yield from self._between(query, symbol, query.start_ns, last_ns, now_ns)
            elif symbol == token.symbol:
                first_ns = max(query.start_ns, token.start_ns + 1)
                yield from self._between(query, symbol, first_ns, query.end_ns, now_ns)

    def _between(
        self,
        query: BarQuery,
        symbol: str,
        first_ns: int,
        last_ns: int,
        now_ns: int,
    ) -> Iterator[Bar]:
        if query.timeframe.is_minute:
            bars: Iterable[Bar] = self._minutes(symbol, first_ns, last_ns, now_ns)
        else:
            bars = self._folded(query, symbol, first_ns, last_ns, now_ns)
        return reversed(list(bars)) if query.descending else iter(bars)

    def _minutes(self, symbol: str, first_ns: int, last_ns: int, now_ns: int) -> Iterator[Bar]:
        last_ended_ns = min(last_ns, now_ns - MINUTE_NS)
        for bar in self._market.bars(symbol, first_ns, last_ended_ns):
            yield self._timeline.version_at(bar, now_ns)

    def _folded(
        self,
        query: BarQuery,
        symbol: str,
        first_ns: int,
        last_ns: int,
        now_ns: int,
    ) -> Iterator[Bar]:
        timeframe = query.timeframe
        widest_ns = timeframe.end(symbol, timeframe.floor(symbol, last_ns))
        minutes = self._minutes(symbol, timeframe.floor(symbol, first_ns), widest_ns - 1, now_ns)
        for bar in fold_bars(minutes, timeframe):
            ended = timeframe.end(symbol, bar.start_ns) <= now_ns
            if ended and first_ns <= bar.start_ns <= last_ns:
                yield bar
