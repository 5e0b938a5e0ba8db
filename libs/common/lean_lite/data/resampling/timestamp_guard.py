"""
Guard against one bar with an implausible date.

A graded live stream yields none: validate's B10_FUTURE makes a bar that starts after its arrival
INVALID. But `Resampler` takes any `TradeBar`, without grade or clock: bars of a file or of a user's
own source, of a replay, and the INVALID ones that callbacks get. Without the guard, one date far
ahead would close the open bar and make every later bar late. The page of DataTransformer documents
this behaviour.
"""

from lean_lite.model import TradeBar
from lean_lite.model.timestamps import SECOND_NS

# A bar with its start in nanoseconds.
StampedBar = tuple[int, TradeBar]


class TimestampGuard:
    """
    Holds back a bar that starts far after all others of its symbol until another one confirms it.

    It is confirmed by the next bar that starts after it or near it, and rejected if the next one
    continues where the others were. `rejected` counts those.
    """

    def __init__(self, max_jump_ns: int) -> None:
        self.rejected = 0
        self._max_jump_ns = max_jump_ns
        self._held: StampedBar | None = None

    def accept(self, stamped: StampedBar, newest_ns: int) -> list[StampedBar]:
        """Return the bars to use now, in order, if the newest used one starts at `newest_ns`."""
        start_ns, bar = stamped
        max_jump_ns = self._max_jump_ns + bar.resolution.seconds * SECOND_NS
        held = self._held
        # A correction of an earlier bar neither confirms nor rejects the held one.
        if held is not None and newest_ns < start_ns != held[0]:
            self._held = None
            if held[0] <= start_ns + max_jump_ns:
                is_later = start_ns > held[0]
                return [held, *self.accept(stamped, held[0])] if is_later else [stamped, held]
            self.rejected += 1
        if start_ns <= newest_ns + max_jump_ns:
            return [stamped]
        self._held = stamped
        return []

    def release(self, now_ns: int) -> list[StampedBar]:
        """Return the held bar if it has started by `now_ns`."""
        held = self._held
        if held is None or held[0] > now_ns:
            return []
        self._held = None
        return [held]
