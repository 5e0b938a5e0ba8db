"""How many REST requests a key may make per minute."""

import time
from collections import Counter
from typing import NamedTuple

_WINDOW_S = 60


class Allowance(NamedTuple):
    """Whether a request may pass, and Alpaca's headers about it."""

    allowed: bool
    headers: dict[str, str]


class RateLimit:
    """Count requests by key in windows of one wall minute."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._window = 0
        self._used: Counter[str] = Counter()

    def count(self, key: str) -> Allowance:
        """Count one request."""
        window = int(time.time()) // _WINDOW_S
        if window != self._window:
            self._window = window
            self._used.clear()
        self._used[key] += 1
        left = self._per_minute - self._used[key]
        headers = {
            "X-RateLimit-Limit": str(self._per_minute),
            "X-RateLimit-Remaining": str(max(left, 0)),
            "X-RateLimit-Reset": str((window + 1) * _WINDOW_S),
        }
        return Allowance(left >= 0, headers)
