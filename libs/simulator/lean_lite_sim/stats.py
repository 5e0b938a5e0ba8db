"""Stats: counters of connections, requests and messages."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from lean_lite_sim.protocol.wire import Channel, Message

_COUNTER_NAMES: Final[dict[Channel, str]] = {
    "bars": "bars_sent",
    "updatedBars": "updated_bars_sent",
    "dailyBars": "daily_bars_sent",
}


class Stats:
    """Counters of connections, requests and messages since the start."""

    def __init__(self, endpoints: Iterable[str]) -> None:
        self._open = dict.fromkeys(endpoints, 0)
        self._total = dict(self._open)
        self._most = dict(self._open)
        self._sent: dict[Channel, Counter[str]] = {name: Counter() for name in _COUNTER_NAMES}
        self.rest_requests = 0
        self.frames_sent = 0
        self.slow_clients = 0

    def on_connect(self, path: str) -> None:
        """Count a new connection."""
        self._open[path] += 1
        self._total[path] += 1
        self._most[path] = max(self._most[path], self._open[path])

    def on_disconnect(self, path: str) -> None:
        """Count a connection that ended."""
        self._open[path] -= 1

    def on_messages(self, messages: Iterable[Message]) -> None:
        """Count messages queued for one client."""
        for message in messages:
            if message.channel is not None:
                self._sent[message.channel][message.symbol] += 1

    def snapshot(self) -> dict[str, object]:
        """Return all counters as a JSON object; messages are counted once per client."""
        connections = {
            path: {"open": self._open[path], "total": self._total[path], "most": self._most[path]}
            for path in self._open
        }
        sent = {name: dict(self._sent[channel]) for channel, name in _COUNTER_NAMES.items()}
        return {
            "connections": connections,
            "rest_requests": self.rest_requests,
            "frames_sent": self.frames_sent,
            "slow_clients": self.slow_clients,
            **sent,
        }
