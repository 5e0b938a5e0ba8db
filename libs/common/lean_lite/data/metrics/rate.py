"""Events per second over windows of up to a minute."""

from collections import deque

MAX_WINDOW_S = 60


class RateCounter:
    """
    Counter of events by whole second since the start. Not thread-safe.

    Args:
        started_s: start of the first second, on the clock of `now_s`.
    """

    def __init__(self, started_s: float = 0.0) -> None:
        self._started_s = started_s
        self._seconds: deque[tuple[int, int]] = deque(maxlen=MAX_WINDOW_S + 1)

    def add(self, now_s: float, count: int = 1) -> None:
        """Count events; `now_s` must not decrease."""
        second = int(now_s - self._started_s)
        if self._seconds and self._seconds[-1][0] == second:
            count += self._seconds.pop()[1]
        self._seconds.append((second, count))

    def per_second(self, now_s: float, window_s: int) -> float:
        """
        Return the mean rate over the last finished seconds of a window, or of all if fewer.

        The current second is left out, so that a steady stream has a steady rate; 0 in the first
        second.
        """
        current = int(now_s - self._started_s)
        finished_s = min(window_s, current)
        if not finished_s:
            return 0.0
        since = current - finished_s
        counts = (count for second, count in tuple(self._seconds) if since <= second < current)
        return sum(counts) / finished_s
