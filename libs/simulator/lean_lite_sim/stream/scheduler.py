"""Scheduler: the one task that sends everything when it is due."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from lean_lite_sim.faults import UPDATE_AFTER_NS
from lean_lite_sim.market.clock import FeedClock
from lean_lite_sim.market.timestamps import MINUTE_NS
from lean_lite_sim.protocol.endpoints import ENDPOINTS, DeliveryGroup
from lean_lite_sim.stream.server import StreamServer
from lean_lite_sim.timeline import Timeline

_GROUPS: Final = tuple(dict.fromkeys(endpoint.group for endpoint in ENDPOINTS.values()))


class _Tick(NamedTuple):
    due_ns: int
    mark_ns: int
    is_mark: bool


class Scheduler:
    """Schedule of feed time: bars `delay_ns` after every minute, updated bars 30 s after it."""

    def __init__(
        self, clock: FeedClock, timeline: Timeline, server: StreamServer, delay_ns: int
    ) -> None:
        self._clock = clock
        self._timeline = timeline
        self._server = server
        self._delay_ns = delay_ns

    async def run(self) -> None:
        """Send until cancelled."""
        for tick in self._ticks():
            self._prepare(tick)
            await self._clock.sleep_until(tick.due_ns)
            for group in _GROUPS:
                self._send(group, tick)

    def _prepare(self, tick: _Tick) -> None:
        for group in _GROUPS:
            if tick.is_mark and self._server.subscribers(group):
                self._timeline.prepare(group.kind, tick.mark_ns - group.lag_ns)

    def _send(self, group: DeliveryGroup, tick: _Tick) -> None:
        clients = self._server.subscribers(group)
        if not clients:
            return
        mark_ns = tick.mark_ns - group.lag_ns
        if not tick.is_mark:
            messages = self._timeline.updated_messages(group.kind, mark_ns)
        else:
            messages = self._timeline.bar_messages(group.kind, mark_ns)
            if any(client.subscription.selection.daily_bars for client in clients):
                messages += self._timeline.daily_messages(group, mark_ns)
        if messages:
            self._server.deliver(clients, messages)

    def _ticks(self) -> Iterator[_Tick]:
        start_ns = self._clock.start_ns
        mark_ns = start_ns // MINUTE_NS * MINUTE_NS
        while True:
            for due_ns, is_mark in (
                (mark_ns + self._delay_ns, True),
                (mark_ns + UPDATE_AFTER_NS, False),
            ):
                if due_ns >= start_ns:
                    yield _Tick(due_ns, mark_ns, is_mark)
            mark_ns += MINUTE_NS
