"""How many things happened lately."""

from collections import deque

KEPT_S = 60


class Rate:
    """Count events by the second, for windows of up to a minute."""

    def __init__(self) -> None:
        """Start with none."""
        self._seconds: deque[tuple[int, int]] = deque(maxlen=KEPT_S + 1)

    def add(self, now_s: float, count: int = 1) -> None:
        """Count events at a time that never runs backwards."""
        second = int(now_s)
        if self._seconds and self._seconds[-1][0] == second:
            count += self._seconds.pop()[1]
        self._seconds.append((second, count))

    def per_second(self, now_s: float, window_s: int) -> float:
        """Return the mean rate of the last whole seconds of a window, the current one included."""
        since = int(now_s) - window_s
        return sum(count for second, count in tuple(self._seconds) if second > since) / window_s
