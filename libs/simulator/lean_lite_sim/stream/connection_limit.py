"""How many connections a key may have on an endpoint."""

import time
from collections import Counter, defaultdict


class ConnectionLimit:
    """Count the connections of every (endpoint, key); a place may outlive its connection."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: Counter[tuple[str, str]] = Counter()
        self._lingering_until: defaultdict[tuple[str, str], list[float]] = defaultdict(list)

    def acquire(self, place: tuple[str, str]) -> bool:
        """Take a place if one is free."""
        now = time.monotonic()
        lingering = [until for until in self._lingering_until[place] if until > now]
        self._lingering_until[place] = lingering
        if self._open[place] + len(lingering) >= self._limit:
            return False
        self._open[place] += 1
        return True

    def release(self, place: tuple[str, str], linger_s: float) -> None:
        """Free a place, or keep it taken for some more seconds."""
        self._open[place] -= 1
        if linger_s > 0:
            self._lingering_until[place].append(time.monotonic() + linger_s)
