"""Bars whose date is too far ahead to be believed at once."""

from lean_lite.model import TradeBar
from lean_lite.model.timestamps import SECOND_NS

Dated = tuple[int, TradeBar]


class TimestampGuard:
    """
    Hold back a bar that starts far after all others of its symbol.

    It is believed with the next one that starts after it or near it, and refused when time goes on
    where it was: one wrong date would make all that comes after it late. Bars come and go with
    their start in nanoseconds.
    """

    def __init__(self, far_ns: int) -> None:
        """Start with nothing held back."""
        self.refused = 0
        self._far_ns = far_ns
        self._held: Dated | None = None

    def accept(self, dated: Dated, newest_ns: int) -> list[Dated]:
        """Take a bar, when the newest one starts at `newest_ns`; return those to be believed."""
        start_ns, bar = dated
        far_ns = self._far_ns + bar.resolution.seconds * SECOND_NS
        held = self._held
        if held is not None and newest_ns < start_ns != held[0]:
            self._held = None
            if held[0] <= start_ns + far_ns:
                is_later = start_ns > held[0]
                return [held, *self.accept(dated, held[0])] if is_later else [dated, held]
            self.refused += 1
        if start_ns <= newest_ns + far_ns:
            return [dated]
        self._held = dated
        return []

    def release(self, now_ns: int) -> list[Dated]:
        """Return what was held back and has started by a moment."""
        held = self._held
        if held is None or held[0] > now_ns:
            return []
        self._held = None
        return [held]
