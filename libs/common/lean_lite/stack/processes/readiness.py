"""Wait until every service of the stack is ready, but for what lies outside of the stack."""

import asyncio
from collections.abc import Mapping

from lean_lite.bus import Bus
from lean_lite.bus.heartbeats import HeartbeatMonitor
from lean_lite.errors import COULD_NOT_START, StackError
from lean_lite.protocol.heartbeat import Heartbeat
from lean_lite.stack.processes.child import ChildProcess

SILENT = "it has not been heard"


class Readiness:
    """Hear the beats of the stack's own services, told apart from others by their process id."""

    def __init__(self, services: Mapping[str, ChildProcess]) -> None:
        """Hear nothing before `listen`."""
        self._services = services
        self._heartbeats = HeartbeatMonitor(on_heartbeat=self._on_heartbeat)
        self._beats: dict[str, Heartbeat] = {}
        self._refused: StackError | None = None
        self._changed = asyncio.Event()

    async def listen(self, bus: Bus) -> None:
        """Subscribe, so that no beat of a child started later is missed."""
        await self._heartbeats.start(bus)

    def on_exit(self, child: ChildProcess, code: int) -> None:
        """Note that a child has ended; some ends make waiting useless."""
        if code == COULD_NOT_START and self._refused is None:
            message = f"{child.name} could not start: {child.log.last_error()}"
            self._refused = StackError(message)
            self._changed.set()

    async def wait(self, *, limit_s: float) -> dict[str, Heartbeat]:
        """
        Return the last beat by service when nothing in the stack keeps any from working.

        StackError that says who is not ready, and why.
        """
        try:
            async with asyncio.timeout(limit_s):
                while self._waiting():
                    if self._refused is not None:
                        raise self._refused
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            raise StackError(self._complaint(limit_s)) from error
        return dict(self._beats)

    def _on_heartbeat(self, beat: Heartbeat) -> None:
        child = self._services.get(beat.service)
        if child is not None and child.pid == beat.pid:
            self._beats[beat.service] = beat
            self._changed.set()

    def _waiting(self) -> list[str]:
        return [name for name in self._services if self._reasons(name)]

    def _reasons(self, name: str) -> tuple[str, ...]:
        beat = self._beats.get(name)
        # A beat of an earlier start says nothing of the process that runs now.
        if beat is None or beat.pid != self._services[name].pid:
            return (SILENT,)
        return tuple(reason for reason in beat.failing if reason not in beat.outside)

    def _complaint(self, limit_s: float) -> str:
        said = [
            f"{name}: {'; '.join(self._reasons(name))} (its log: {self._services[name].log.path})"
            for name in self._waiting()
        ]
        return f"not ready within {limit_s:.3g} s (`stack.start_s`): {'; '.join(said)}"
