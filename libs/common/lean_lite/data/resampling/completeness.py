"""Expected number of bars of a span, and until when it is complete."""

from lean_lite.blocks import Block
from lean_lite.market.calendar import calendar_of
from lean_lite.market.symbols import asset_class_of
from lean_lite.market.time_buckets import TimeBuckets
from lean_lite.model import Resolution
from lean_lite.model.timestamps import DAY_S, HOUR_NS, HOUR_S, MINUTE_NS

# Minutes are final 35 s after their end and days 3 h after it (docs/decisions/0006): a bar that
# started this long ago is stored, or there was no trade.
MINUTE_LATE_NS = 2 * MINUTE_NS
DAY_LATE_NS = 27 * HOUR_NS


def latest_expected_ns(block: Block, now_ns: int) -> int:
    """Return the time up to which bars can be expected: now, or the end of a recording."""
    if not block.simulated:
        return now_ns
    return int(block.end_ns[-1]) if len(block) else 0


def complete_until(stored: Block, end_ns: int, now_ns: int) -> int:
    """
    Return up to which time the stored bars of a span that ends at `end_ns` are complete.

    That is the end of the last bar, or later: bars that started long enough ago are final. A
    recording has its own time, which is read from its bars.
    """
    if stored.simulated:
        return min(end_ns, latest_expected_ns(stored, now_ns))
    last_ns = int(stored.end_ns[-1]) if len(stored) else 0
    late_ns = DAY_LATE_NS if stored.resolution.seconds == DAY_S else MINUTE_LATE_NS
    return min(end_ns, max(last_ns, now_ns - late_ns))


def complete_since(symbol: str, resolution: Resolution, start_ns: int) -> int:
    """
    Return the time since which a symbol is complete, by the start of its first bar.

    A daily bar counts from the start of its trading day: Alpaca's daily bars of crypto start at
    midnight in Chicago and stand for the UTC day.
    """
    if resolution.seconds < DAY_S:
        return start_ns
    return TimeBuckets(asset_class_of(symbol), DAY_S).start(start_ns)


def expected_bars(symbol: str, resolution: Resolution, start_ns: int, end_ns: int) -> int:
    """Return the number of bars that start in a span and overlap a regular session."""
    asset_class = asset_class_of(symbol)
    length_s = resolution.seconds
    if length_s == DAY_S or HOUR_S % length_s == 0:
        return calendar_of(asset_class).expected(start_ns, end_ns, length_s)
    return TimeBuckets(asset_class, length_s).expected(start_ns, end_ns)
