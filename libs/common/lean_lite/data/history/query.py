"""HistoryQuery: a caller's span and resolution as a request to the store."""

from datetime import datetime
from typing import NamedTuple

from lean_lite.errors import RequestError
from lean_lite.market.symbols import asset_class_of
from lean_lite.market.time_buckets import TimeBuckets
from lean_lite.model import Length, Resolution
from lean_lite.model.resolution import STORED
from lean_lite.model.timestamps import SECOND_NS, to_ns
from lean_lite.protocol.history import HistoryRequest

# A daily bar is fetched 26 hours after its start. Alpaca's day of crypto starts at midnight in
# Chicago, up to six hours behind the day of UTC that it stands for. One hour is a margin.
DAY_SETTLES_NS = 33 * 3_600 * SECOND_NS


class HistoryQuery(NamedTuple):
    """
    Request for stored bars, and the resolution that they are folded into.

    Attributes:
        request: one symbol, a span of whole buckets and a stored resolution.
        resolution: resolution that the caller gets.
    """

    request: HistoryRequest
    resolution: Resolution

    @property
    def is_stored(self) -> bool:
        """Whether the bars are returned as they are stored."""
        return self.request.resolution_s == self.resolution.seconds

    @property
    def symbol(self) -> str:
        """The symbol."""
        return self.request.symbols[0]

    @property
    def settled_ns(self) -> int:
        """Start from which on a live bar shows that all bars of the span have been published."""
        if self.request.resolution_s != Resolution.DAILY.seconds:
            return self.request.end_ns
        days = TimeBuckets(asset_class_of(self.symbol), self.request.resolution_s)
        return days.start(self.request.end_ns - 1) + DAY_SETTLES_NS


def build_query(
    symbol: str, start_date: datetime, end_date: datetime, length: Length
) -> HistoryQuery:
    """
    Build the query of one symbol's bars.

    Longer bars than those stored are folded from whole buckets that start in the span.

    Args:
        symbol: the symbol.
        start_date: start of the span, inclusive; naive times are local.
        end_date: end of the span, exclusive.
        length: resolution, also as text or timedelta.

    Raises:
        RequestError: `resolution`, no stored bars add up to it; `span`, the end is before the
            start.
    """
    resolution = _resolution_of(length)
    base = next((one for one in STORED if _adds_up(one, resolution)), None)
    if base is None:
        code = "resolution"
        message = (
            f"invalid resolution {resolution.value!r}: expected whole minutes up to a day "
            "(Resolution.MINUTE, Resolution('5min'), Resolution.HOUR) or whole days"
        )
        raise RequestError(code, message)
    start_ns, end_ns = to_ns(start_date), to_ns(end_date)
    if end_ns < start_ns:
        code = "span"
        message = f"end_date {end_date} is before start_date {start_date}: swap them"
        raise RequestError(code, message)
    if base != resolution:
        buckets = TimeBuckets(asset_class_of(symbol), resolution.seconds)
        start_ns, end_ns = _next_start(buckets, start_ns), _next_start(buckets, end_ns)
    return HistoryQuery(HistoryRequest((symbol,), start_ns, end_ns, base.seconds), resolution)


def _resolution_of(length: Length) -> Resolution:
    try:
        return Resolution.of(length)
    except ValueError as error:
        code = "resolution"
        raise RequestError(code, str(error)) from error


def _adds_up(base: Resolution, resolution: Resolution) -> bool:
    """Whether bars of one resolution can be folded into another."""
    # Above a day only whole days can be folded, from daily bars: 36 hours of minutes can't.
    is_day_in_part = resolution.seconds > Resolution.DAILY.seconds and base == Resolution.MINUTE
    return (
        resolution.seconds >= base.seconds
        and resolution.seconds % base.seconds == 0
        and not is_day_in_part
    )


def _next_start(buckets: TimeBuckets, time_ns: int) -> int:
    """Return the first start of a bucket at or after a time."""
    start_ns = buckets.start(time_ns)
    return start_ns if start_ns == time_ns else buckets.end(start_ns)
