"""What a caller asks of the past, as the request that the store understands."""

from datetime import datetime

from lean_lite.algorithm.data_models import Resolution, to_ns
from lean_lite.errors import RequestError
from lean_lite.messages import HistoryRequest

STORED = (Resolution.MINUTE, Resolution.DAILY)


def request_of(
    symbol: str, start_date: datetime, end_date: datetime, resolution: Resolution
) -> HistoryRequest:
    """
    Return the request for one symbol's bars; naive moments are local time, as in Python.

    RequestError `resolution` for one that is not stored, `span` when the end is before the start.
    """
    if resolution not in STORED:
        code = "resolution"
        message = (
            f"bars of resolution {resolution.value} are not stored: ask for Resolution.MINUTE or "
            "Resolution.DAILY (resampling comes with DataTransformer; until then use MINUTE)"
        )
        raise RequestError(code, message)
    start_ns, end_ns = to_ns(start_date), to_ns(end_date)
    if end_ns < start_ns:
        code = "span"
        message = f"end_date {end_date} is before start_date {start_date}: exchange them"
        raise RequestError(code, message)
    return HistoryRequest((symbol,), start_ns, end_ns, resolution.seconds)
