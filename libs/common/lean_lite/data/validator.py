"""Grade one record by hand, by the rules that every record on the bus is graded by."""

import time
from datetime import UTC, datetime

import msgspec

from lean_lite.blocks import Block, from_bars, from_quotes
from lean_lite.market.symbols import asset_class_of
from lean_lite.model import DataQualityLevel, QuoteBar, TradeBar
from lean_lite.model.timestamps import to_ns, utc
from lean_lite.quality import Grader, failed_checks

FEED = "by-hand"
PASSED = "passes every check"
EARLIEST, LATEST = datetime(1678, 1, 1, tzinfo=UTC), datetime(2261, 1, 1, tzinfo=UTC)

Verdict = tuple[bool, DataQualityLevel, str]


class DataValidator:
    """
    Say how good a record is: whether it is valid, its quality, and why.

    The answer is that of the service `validate` for the same record. Its time is judged as if it
    arrived at `now`, which is this moment unless it is given; naive moments are local time, as in
    Python. `previous` is the symbol's record before: further than 120 minutes back it says nothing.
    """

    @staticmethod
    def validate_trade_bar(
        bar: TradeBar, *, previous: TradeBar | None = None, now: datetime | None = None
    ) -> Verdict:
        """
        Return `(is_valid, quality, message)`; TypeError when it is no TradeBar.

        ValueError when `previous` is of another symbol, another resolution, or later.
        """
        _check(bar, previous, TradeBar)
        given = [_within(one) for one in (previous, bar) if one is not None]
        return _judged(from_bars(given, feed=FEED, received_ns=_arrival(now)))

    @staticmethod
    def validate_quote_bar(
        quote: QuoteBar, *, previous: QuoteBar | None = None, now: datetime | None = None
    ) -> Verdict:
        """
        Return `(is_valid, quality, message)`; TypeError when it is no QuoteBar.

        ValueError when `previous` is of another symbol, another resolution, or later.
        """
        _check(quote, previous, QuoteBar)
        given = [_within(one) for one in (previous, quote) if one is not None]
        return _judged(from_quotes(given, feed=FEED, received_ns=_arrival(now)))


def _judged(records: Block) -> Verdict:
    """Return what grading says of the last of some records of one symbol."""
    graded = Grader(asset_class_of(records.symbols[0])).grade(1, records).block
    level = DataQualityLevel.from_code(int(graded["level"][-1]))
    failed = failed_checks(int(graded["reasons"][-1]))
    message = "; ".join(f"{check.name}: {check.text}" for check in failed) or PASSED
    return level is not DataQualityLevel.INVALID, level, message


def _within[Record: (TradeBar, QuoteBar)](record: Record) -> Record:
    """Return a record whose time nanoseconds can hold, with the end of the longest bar."""
    if EARLIEST <= record.timestamp <= LATEST:
        return record
    return msgspec.structs.replace(record, timestamp=_clipped(record.timestamp))


def _arrival(now: datetime | None) -> int:
    return time.time_ns() if now is None else to_ns(_clipped(utc(now)))


def _clipped(moment: datetime) -> datetime:
    return min(max(moment, EARLIEST), LATEST)


def _check(
    record: TradeBar | QuoteBar,
    previous: TradeBar | QuoteBar | None,
    kind: type[TradeBar | QuoteBar],
) -> None:
    for one in (record,) if previous is None else (record, previous):
        if not isinstance(one, kind):
            message = f"a {kind.__name__} is judged here, not {type(one).__name__}"
            raise TypeError(message)
    if previous is None:
        return
    if (previous.symbol, previous.resolution) != (record.symbol, record.resolution):
        message = (
            f"{record.symbol} {record.resolution.value} is compared with its own record before, "
            f"not with {previous.symbol} {previous.resolution.value}"
        )
        raise ValueError(message)
    if previous.timestamp > record.timestamp:
        message = f"the record before starts at {previous.timestamp}, after {record.timestamp}"
        raise ValueError(message)
