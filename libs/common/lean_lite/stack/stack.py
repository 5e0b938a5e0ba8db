"""The whole pipeline on this machine, owned by the process that starts it."""

import asyncio
import shutil
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from nats.js.errors import APIError

from lean_lite.bus import Bus, connect, create_streams
from lean_lite.config import BusConfig, Config, StreamsConfig
from lean_lite.config.environment import child_environment
from lean_lite.config.sections import Secret
from lean_lite.errors import StackError
from lean_lite.protocol.permissions import ADMIN
from lean_lite.stack.credentials import new_password
from lean_lite.stack.folder import Mode, StackFolder
from lean_lite.stack.identity import SIMULATOR
from lean_lite.stack.processes.brokers import NatsServer, ValkeyServer
from lean_lite.stack.processes.child import ChildProcess, stop_children
from lean_lite.stack.processes.child_log import ChildLog
from lean_lite.stack.processes.readiness import Readiness
from lean_lite.stack.processes.restarter import Restarter
from lean_lite.stack.processes.simulator import SimulatorChild, SimulatorOptions
from lean_lite.stack.state import StackState, new_state, write_state

SERVICES = ("ingest", "validate", "store", "metrics")
LOOK_S = 0.02
# Together with the kills after them: less than the three seconds that a stop may take.
STOP_SERVICES_S = 1.2
STOP_BROKERS_S = 1.2
DRAIN_S = 1.0


class Stack:
    """
    Run brokers, services and, when asked for, the simulator as children of this process.

    With a simulator it is a demo: the folder's data is wiped at the start, because the same days
    are replayed every time. Children that die are started again and counted in `restarts`.
    StackError when something could not start, with what it said. Ends within three seconds.

    A supervisor gives a session, which is kept in the folder for its successor, the descriptor of
    a lock that was taken for it, and whether it `resumes` a session: then a demo's data stays.
    What lies outside and kept a service from working at the start is in `outside`: the stack starts
    without it, because history and what is live by other feeds can be had all the same.
    """

    def __init__(
        self,
        config: Config,
        *,
        folder: Path,
        services: tuple[str, ...] = SERVICES,
        simulator: SimulatorOptions | None = None,
        state: StackState | None = None,
        lock: int | None = None,
        resumes: bool = False,
    ) -> None:
        """Start nothing before `start` or `async with`."""
        self.config = config.replace(stack={"feed": SIMULATOR}) if simulator else config
        self.folder = folder.absolute()
        self.children: dict[str, ChildProcess] = {}
        self.metrics_url = ""
        self.outside: tuple[str, ...] = ()
        self._names = services
        self._simulator = simulator
        self._session = state or new_state(self.config)
        self._is_shared = state is not None
        mode: Mode = "demo" if simulator else "live"
        self._held = StackFolder(self.folder, mode, lock=lock, resumes=resumes)
        self._services: dict[str, ChildProcess] = {}
        self._readiness = Readiness(self._services)
        self._keeper = Restarter(self._readiness.on_exit)
        self._stopping: asyncio.Task[None] | None = None

    @property
    def restarts(self) -> dict[str, int]:
        """Return how often each child was started again."""
        return self._keeper.restarts

    def bus_config(self, role: str) -> BusConfig:
        """Return what a process of that role (`client`, …, `admin`) needs to connect."""
        password = Secret(self._session.passwords[role])
        return msgspec.structs.replace(self.config.bus, user=role, password=password)

    def role_config(self, role: str) -> Config:
        """Return the settings for a process of that role; Alpaca's keys are ingest's alone."""
        bus: dict[str, Any] = msgspec.structs.asdict(self.bus_config(role))
        changes: dict[str, dict[str, object]] = {"bus": bus}
        if role != "ingest":
            changes["alpaca"] = {"key_id": Secret(""), "secret_key": Secret("")}
        return self.config.replace(**changes)

    async def stop_child(self, name: str) -> None:
        """End one child for good, within the time that a stop of the services may take."""
        child = self.children[name]
        await self._keeper.unwatch(name)
        await stop_children([child], limit_s=STOP_SERVICES_S)

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        await self.stop()

    async def start(self) -> None:
        """
        Return when every service is ready, but for what is in `outside`.

        Nothing is left running when that fails.
        """
        self._check_installed()
        self._held.acquire()
        try:
            await self._start(time.monotonic() + self.config.stack.start_s)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop everything, however often it is called and whoever stops waiting for it."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop(), name="stop the stack")
        cancelled: asyncio.CancelledError | None = None
        while not self._stopping.done():
            try:
                await asyncio.shield(self._stopping)
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
        self._stopping.result()

    async def _start(self, until: float) -> None:
        try:
            async with asyncio.TaskGroup() as starting:
                starting.create_task(self._start_brokers(until))
                if self._simulator is not None:
                    starting.create_task(self._start_simulator(self._simulator, until))
        except* StackError as errors:
            # The first one tells why; the others were cut off by it.
            raise errors.exceptions[0] from None
        if self._is_shared:
            write_state(self.folder, self._session)
        # The beats of later starts interest nobody here, so the connection ends with the start.
        bus = await connect(self.bus_config(ADMIN), ADMIN, name="stack")
        try:
            await self._create_streams(bus)
            await self._start_services(bus, until)
        finally:
            await bus.connection.close()
        self._held.publish_description(self._facts())

    def _facts(self) -> dict[str, object]:
        session = self._session
        return {
            "session": session.id if self._is_shared else "",
            "feed": session.feed,
            "account": session.account,
            "bus_url": self.config.bus.url,
            "user": "client",
            "password": session.passwords["client"],
            "feed_user": "feed",
            "feed_password": session.passwords["feed"],
            "metrics_url": self.metrics_url,
            "outside": self.outside,
        }

    async def _start_brokers(self, until: float) -> None:
        programs, session = self.config.stack, self._session
        password = new_password()
        nats = NatsServer(
            self.folder, session.passwords, program=programs.nats_server, port=session.nats_port
        )
        valkey = ValkeyServer(self.folder, password, program=programs.valkey_server)
        for broker in (nats, valkey):
            self.children[broker.name] = broker.child
        limit_s = max(until - time.monotonic(), LOOK_S)
        await asyncio.gather(*(broker.start(limit_s=limit_s) for broker in (nats, valkey)))
        for broker in (nats, valkey):
            self._keeper.watch(broker.child)
        self.config = self.config.replace(
            bus={"url": nats.url},
            store={"path": str(self.folder / "store"), "redis_url": Secret(valkey.url)},
        )

    async def _start_simulator(self, options: SimulatorOptions, until: float) -> None:
        child = SimulatorChild(options, self._log("simulator"), self._session.clock)
        self.children[child.name] = child
        child.start()
        while (settings := child.settings()) is None:
            if not child.running:
                raise StackError(f"the simulator could not start: {child.log.last_error()}")
            if time.monotonic() > until:
                limit_s = self.config.stack.start_s
                message = f"the simulator was not ready within {limit_s:g} s (`stack.start_s`)"
                raise StackError(message)
            await asyncio.sleep(LOOK_S)
        self.config = self.config.replace(alpaca=settings)
        self._session = msgspec.structs.replace(self._session, clock=child.reading)
        self._keeper.watch(child)

    async def _create_streams(self, bus: Bus) -> None:
        try:
            await create_streams(bus, self._fit_streams_to_disk())
        except APIError as error:
            message = f"the streams could not be created: {error.description or error}"
            raise StackError(message) from error

    def _fit_streams_to_disk(self) -> StreamsConfig:
        # The server refuses streams that might need more than three quarters of the disk.
        streams = self.config.streams
        share = shutil.disk_usage(self.folder).free // 8
        return msgspec.structs.replace(
            streams,
            bytes=min(streams.bytes, share),
            bulk_bytes=min(streams.bulk_bytes, share),
            event_bytes=min(streams.event_bytes, share),
        )

    async def _start_services(self, bus: Bus, until: float) -> None:
        metrics = {"port": self._session.metrics_port}
        self.config = self.config.replace(metrics=metrics, service={"health_port": 0})
        await self._readiness.listen(bus)
        for name in self._names:
            command = (sys.executable, "-m", f"lean_lite_{name}")
            child = ChildProcess(name, command, self._log(name), self._environment(name))
            self._services[name] = self.children[name] = child
            child.start()
            self._keeper.watch(child)
        beats = await self._readiness.wait(limit_s=max(until - time.monotonic(), LOOK_S))
        self.outside = tuple(reason for beat in beats.values() for reason in beat.outside)
        if "metrics" in beats:
            infos = beats["metrics"].counted("lean_lite_metrics_info")
            self.metrics_url = next((info.labels["url"] for info in infos), "")

    def _environment(self, name: str) -> dict[str, str]:
        drain_s = min(self.config.service.drain_s, DRAIN_S)
        config = self.role_config(name).replace(service={"drain_s": drain_s})
        return child_environment(config.environment())

    async def _stop(self) -> None:
        self._held.remove_description()
        await self._keeper.stop()
        brokers = [self.children.pop(name) for name in ("nats", "valkey") if name in self.children]
        await stop_children(self.children.values(), limit_s=STOP_SERVICES_S)
        await stop_children(brokers, limit_s=STOP_BROKERS_S)
        self.children.clear()
        self._held.release()

    def _check_installed(self) -> None:
        wanted = [*self._names, *(["sim"] if self._simulator else [])]
        missing = [name for name in wanted if find_spec(f"lean_lite_{name}") is None]
        if missing:
            names = ", ".join(f"lean-lite-{name}" for name in missing)
            raise StackError(f'{names} is not installed: run `pip install "lean-lite[stack]"`')

    def _log(self, name: str) -> ChildLog:
        return ChildLog(self.folder / "logs" / f"{name}.log")
