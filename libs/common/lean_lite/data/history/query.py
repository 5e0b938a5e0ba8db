"""What a caller asks of the past, as the request that the store understands."""

from datetime import datetime
from typing import NamedTuple

from lean_lite.errors import RequestError
from lean_lite.market.symbols import asset_class_of
from lean_lite.market.time_buckets import TimeBuckets
from lean_lite.model import Length, Resolution
from lean_lite.model.timestamps import SECOND_NS, to_ns
from lean_lite.protocol.history import HistoryRequest

# What is stored, the longest first: longer bars are made of the longest that divides them.
STORED = (Resolution.DAILY, Resolution.MINUTE)
# A daily bar is fetched 26 hours after its start, which for crypto is up to six after our day's.
DAY_SETTLES_NS = 33 * 3_600 * SECOND_NS


class HistoryQuery(NamedTuple):
    """Hold what the store is asked for, and what its bars are made into."""

    request: HistoryRequest
    resolution: Resolution

    @property
    def is_stored(self) -> bool:
        """Tell whether the bars are given as they are stored."""
        return self.request.resolution_s == self.resolution.seconds

    @property
    def symbol(self) -> str:
        """Return the symbol that is asked for."""
        return self.request.symbols[0]

    @property
    def settled_ns(self) -> int:
        """Return from when on a live bar tells that all bars of this one have come."""
        if self.request.resolution_s != Resolution.DAILY.seconds:
            return self.request.end_ns
        days = TimeBuckets(asset_class_of(self.symbol), self.request.resolution_s)
        return days.start(self.request.end_ns - 1) + DAY_SETTLES_NS


def build_query(
    symbol: str, start_date: datetime, end_date: datetime, length: Length
) -> HistoryQuery:
    """
    Return what to ask for one symbol's bars; naive moments are local time, as in Python.

    The bars of another resolution than those stored are made of whole buckets that start in the
    span. RequestError `resolution` for one that no stored bars add up to, `span` when the end is
    before the start.
    """
    resolution = _resolution_of(length)
    base = next((one for one in STORED if _adds_up(one, resolution)), None)
    if base is None:
        code = "resolution"
        message = (
            f"no stored bars add up to {resolution.value}: ask for whole minutes up to a day "
            "(Resolution.MINUTE, Resolution('5min'), Resolution.HOUR) or for whole days"
        )
        raise RequestError(code, message)
    start_ns, end_ns = to_ns(start_date), to_ns(end_date)
    if end_ns < start_ns:
        code = "span"
        message = f"end_date {end_date} is before start_date {start_date}: exchange them"
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
    is_day_in_part = resolution.seconds > Resolution.DAILY.seconds and base == Resolution.MINUTE
    return (
        resolution.seconds >= base.seconds
        and resolution.seconds % base.seconds == 0
        and not is_day_in_part
    )


def _next_start(buckets: TimeBuckets, at_ns: int) -> int:
    """Return the first start of a bucket that is not before an instant."""
    start_ns = buckets.start(at_ns)
    return start_ns if start_ns == at_ns else buckets.end(start_ns)
