"""How many things happened lately."""

from collections import deque

KEPT_S = 60


class RateCounter:
    """Count events by the second since the start, for windows of up to a minute."""

    def __init__(self, started_s: float = 0.0) -> None:
        """Start with none; seconds begin at the start, so that the first one is a whole one."""
        self._started_s = started_s
        self._seconds: deque[tuple[int, int]] = deque(maxlen=KEPT_S + 1)

    def add(self, now_s: float, count: int = 1) -> None:
        """Count events at a time that never runs backwards."""
        second = int(now_s - self._started_s)
        if self._seconds and self._seconds[-1][0] == second:
            count += self._seconds.pop()[1]
        self._seconds.append((second, count))

    def per_second(self, now_s: float, window_s: int) -> float:
        """
        Return the mean rate of the last finished seconds, as many as the window or the age has.

        The current second does not count; 0 before the first one is over.
        """
        current = int(now_s - self._started_s)
        finished_s = min(window_s, current)
        if not finished_s:
            return 0.0
        since = current - finished_s
        counts = (count for second, count in tuple(self._seconds) if since <= second < current)
        return sum(counts) / finished_s
