"""DataValidator: grade single bars and quotes with the rules of the service validate."""

import time
from datetime import UTC, datetime

import msgspec

from lean_lite.blocks import Block, from_bars, from_quotes
from lean_lite.market.symbols import asset_class_of
from lean_lite.model import DataQualityLevel, QuoteBar, TradeBar
from lean_lite.model.timestamps import to_ns, utc
from lean_lite.quality import Grader, failed_checks

FEED = "by-hand"  # Needed by blocks; no check reads it.
PASSED = "passes every check"
# Nanoseconds can hold times from the first of these to the end of the longest bar at the second.
EARLIEST, LATEST = datetime(1678, 1, 1, tzinfo=UTC), datetime(2261, 1, 1, tzinfo=UTC)

Grade = tuple[bool, DataQualityLevel, str]


class DataValidator:
    """
    Grades single bars and quotes as the service `validate` grades the same record.

    The checks of its time assume that the record arrives at `now`. Checks that compare with the
    previous record of the symbol pass if it is not given, or is more than 120 minutes older.
    """

    @staticmethod
    def validate_trade_bar(
        bar: TradeBar, *, previous: TradeBar | None = None, now: datetime | None = None
    ) -> Grade:
        """
        Grade a bar.

        Args:
            bar: the bar.
            previous: the bar before it, of the same symbol and resolution.
            now: arrival of the bar, by default the current time; a naive one is local time.

        Returns:
            Whether the bar is valid, its grade, and the failed checks with their texts.

        Raises:
            TypeError: `bar` or `previous` is not a TradeBar.
            ValueError: `previous` is of another symbol or resolution, or later.
        """
        _check(bar, previous, TradeBar)
        bars = [_in_range(one) for one in (previous, bar) if one is not None]
        return _grade_last(from_bars(bars, feed=FEED, received_ns=_received_ns(now)))

    @staticmethod
    def validate_quote_bar(
        quote: QuoteBar, *, previous: QuoteBar | None = None, now: datetime | None = None
    ) -> Grade:
        """
        Grade a quote.

        Args:
            quote: the quote.
            previous: the quote before it, of the same symbol and resolution.
            now: arrival of the quote, by default the current time; a naive one is local time.

        Returns:
            Whether the quote is valid, its grade, and the failed checks with their texts.

        Raises:
            TypeError: `quote` or `previous` is not a QuoteBar.
            ValueError: `previous` is of another symbol or resolution, or later.
        """
        _check(quote, previous, QuoteBar)
        quotes = [_in_range(one) for one in (previous, quote) if one is not None]
        return _grade_last(from_quotes(quotes, feed=FEED, received_ns=_received_ns(now)))


def _grade_last(block: Block) -> Grade:
    """Grade a block of one symbol; return the grade of its last row."""
    graded = Grader(asset_class_of(block.symbols[0])).grade(1, block).block
    level = DataQualityLevel.from_code(int(graded["level"][-1]))
    failed = failed_checks(int(graded["reasons"][-1]))
    message = "; ".join(f"{check.name}: {check.text}" for check in failed) or PASSED
    return level is not DataQualityLevel.INVALID, level, message


def _in_range[Record: (TradeBar, QuoteBar)](record: Record) -> Record:
    """Return the record with its start clipped to the times that nanoseconds can hold."""
    if EARLIEST <= record.timestamp <= LATEST:
        return record
    return msgspec.structs.replace(record, timestamp=_clip(record.timestamp))


def _received_ns(now: datetime | None) -> int:
    return time.time_ns() if now is None else to_ns(_clip(utc(now)))


def _clip(time: datetime) -> datetime:
    return min(max(time, EARLIEST), LATEST)


def _check(
    record: TradeBar | QuoteBar,
    previous: TradeBar | QuoteBar | None,
    kind: type[TradeBar | QuoteBar],
) -> None:
    for one in (record,) if previous is None else (record, previous):
        if not isinstance(one, kind):
            message = f"expected a {kind.__name__}, not {type(one).__name__}"
            raise TypeError(message)
    if previous is None:
        return
    if (previous.symbol, previous.resolution) != (record.symbol, record.resolution):
        message = (
            f"previous must have the symbol and resolution of the record ({record.symbol} "
            f"{record.resolution.value}), not {previous.symbol} {previous.resolution.value}"
        )
        raise ValueError(message)
    if previous.timestamp > record.timestamp:
        message = f"previous starts at {previous.timestamp}, after the record at {record.timestamp}"
        raise ValueError(message)
