"""Readiness: wait until every service of the stack is ready, external reasons aside."""

import asyncio
from collections.abc import Mapping

from lean_lite.bus import Bus
from lean_lite.bus.heartbeats import HeartbeatMonitor
from lean_lite.errors import COULD_NOT_START, StackError
from lean_lite.protocol.heartbeat import Heartbeat
from lean_lite.stack.processes.child import ChildProcess

NO_HEARTBEAT = "no heartbeat yet"


class Readiness:
    """Heartbeats of the stack's own services, recognized by their process ids."""

    def __init__(self, services: Mapping[str, ChildProcess]) -> None:
        self._services = services
        self._monitor = HeartbeatMonitor(on_heartbeat=self._on_heartbeat)
        self._heartbeats: dict[str, Heartbeat] = {}
        self._failure: StackError | None = None
        self._changed = asyncio.Event()

    async def start(self, bus: Bus) -> None:
        """Subscribe; no heartbeat of a child that starts later is missed."""
        await self._monitor.start(bus)

    def on_exit(self, child: ChildProcess, code: int) -> None:
        """End the wait with an error if a restart of the child is useless."""
        if code == COULD_NOT_START and self._failure is None:
            message = f"{child.name} could not start: {child.log.last_error()}"
            self._failure = StackError(message)
            self._changed.set()

    async def wait(self, *, limit_s: float) -> dict[str, Heartbeat]:
        """
        Wait until no service has a reason inside the stack not to be ready.

        Returns the last heartbeat by service. StackError names who is not ready, and why.
        """
        try:
            async with asyncio.timeout(limit_s):
                while self._unready():
                    if self._failure is not None:
                        raise self._failure
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            raise StackError(self._timeout_message(limit_s)) from error
        return dict(self._heartbeats)

    def _on_heartbeat(self, heartbeat: Heartbeat) -> None:
        child = self._services.get(heartbeat.service)
        if child is not None and child.pid == heartbeat.pid:
            self._heartbeats[heartbeat.service] = heartbeat
            self._changed.set()

    def _unready(self) -> list[str]:
        return [name for name in self._services if self._reasons(name)]

    def _reasons(self, name: str) -> tuple[str, ...]:
        heartbeat = self._heartbeats.get(name)
        # After a restart the last heartbeat is that of another process.
        if heartbeat is None or heartbeat.pid != self._services[name].pid:
            return (NO_HEARTBEAT,)
        return tuple(reason for reason in heartbeat.failing if reason not in heartbeat.outside)

    def _timeout_message(self, limit_s: float) -> str:
        unready = "; ".join(
            f"{name}: {'; '.join(self._reasons(name))} (see {self._services[name].log.path})"
            for name in self._unready()
        )
        return f"not ready within {limit_s:.3g} s (`stack.start_s`): {unready}"
