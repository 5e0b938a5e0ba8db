"""GapFinder: which spans of a feed's symbols may lack bars in RAW; decisions without I/O."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from lean_lite.model.timestamps import MINUTE_NS, SECOND_NS, from_ns
from lean_lite.protocol.partitions import Lane, lane_of
from lean_lite_ingest.lane_publisher import IngestLanePublisher

# A correction follows its bar by half a minute: a lost one may belong to a bar before the gap.
MARGIN_NS = 2 * MINUTE_NS
# Symbols whose gaps start this close together share their requests.
SHARED_REQUEST_NS = 10 * MINUTE_NS


class GapRange(NamedTuple):
    """Symbols that may lack bars which start in [`start_ns`, `end_ns`], both included."""

    symbols: tuple[str, ...]
    start_ns: int
    end_ns: int

    def __str__(self) -> str:
        span = f"{from_ns(self.start_ns):%Y-%m-%d %H:%M} to {from_ns(self.end_ns):%H:%M} UTC"
        return f"{len(self.symbols)} symbols, {span}"


class GapFinder:
    """Finder of the gaps of one feed; gaps longer than `span_s` are cut."""

    def __init__(self, publishers: Mapping[Lane, IngestLanePublisher], span_s: float) -> None:
        self._publishers = publishers
        self._span_ns = round(span_s * SECOND_NS)

    def lane_gaps(
        self, lanes: Iterable[Lane], since_ns: Mapping[str, int], now_ns: int
    ) -> tuple[list[GapRange], list[GapRange]]:
        """Return the gaps of lanes to fetch, and the parts that are too old for that."""
        end_ns = last_ended_minute(now_ns)
        earliest_ns = end_ns - self._span_ns
        chosen = set(lanes)
        starts = sorted(
            (start, symbol)
            for symbol, since in since_ns.items()
            if (start := self._start_ns(symbol, since)) <= end_ns and lane_of(symbol) in chosen
        )
        lost = [
            GapRange((symbol,), start, earliest_ns - MINUTE_NS)
            for start, symbol in starts
            if start < earliest_ns
        ]
        cut = [(max(start, earliest_ns), symbol) for start, symbol in starts]
        return list(_group_by_start(cut, end_ns)), lost

    @staticmethod
    def start_gaps(
        symbols: Iterable[str], since_ns: Mapping[str, int], now_ns: int
    ) -> list[GapRange]:
        """
        Return the minutes between the history of new symbols and their live bars.

        History ends where bars are final, 35 s ago; the last full minute before a subscription
        would be in neither.
        """
        end_ns = last_ended_minute(now_ns)
        starts = sorted((first_minute(since_ns[s]), s) for s in symbols if s in since_ns)
        return list(_group_by_start([start for start in starts if start[0] <= end_ns], end_ns))

    def _start_ns(self, symbol: str, since_ns: int) -> int:
        complete_ns = self._publishers[lane_of(symbol)].complete_ns
        first_ns = first_minute(since_ns)
        return first_ns if complete_ns is None else max(first_ns, complete_ns - MARGIN_NS)


def first_minute(since_ns: int) -> int:
    """Return the minute before a symbol was requested: its bar may be sent just afterwards."""
    return since_ns - since_ns % MINUTE_NS - MINUTE_NS


def last_ended_minute(now_ns: int) -> int:
    """Return the start of the last minute that has ended."""
    return now_ns - now_ns % MINUTE_NS - MINUTE_NS


def _group_by_start(starts: list[tuple[int, str]], end_ns: int) -> Iterable[GapRange]:
    group: list[str] = []
    group_ns = 0
    for start_ns, symbol in starts:
        if group and start_ns > group_ns + SHARED_REQUEST_NS:
            yield GapRange(tuple(group), group_ns, end_ns)
            group = []
        if not group:
            group_ns = start_ns
        group.append(symbol)
    if group:
        yield GapRange(tuple(group), group_ns, end_ns)
