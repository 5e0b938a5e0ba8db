"""Stack: the whole pipeline on this machine, owned by the process that starts it."""

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
from lean_lite.stack.processes.child_log import child_log
from lean_lite.stack.processes.readiness import Readiness
from lean_lite.stack.processes.restarter import Restarter
from lean_lite.stack.processes.simulator import SimulatorOptions, SimulatorProcess
from lean_lite.stack.state import StackState, new_state, write_state
from lean_lite.tasks import finish

SERVICES = ("ingest", "validate", "store", "metrics")
CHECK_S = 0.02
# With the kills after each, the two limits stay below the three seconds that a stop may take.
STOP_SERVICES_S = 1.2
STOP_BROKERS_S = 1.2
# A service must have cleaned up before it would be killed.
DRAIN_S = 1.0


class Stack:
    """
    Brokers, services and optionally the simulator, as children of this process.

    With a simulator it is a demo: the folder's data is deleted at the start, because the same days
    are replayed every time. Children that exit are restarted and counted in `restarts`. A stop
    takes three seconds at most.

    Only a supervisor passes `state`, which it writes to the folder for its successor; `lock`, the
    descriptor of the folder's lock, acquired for it; and `resume`, which keeps a demo's data.

    `external_reasons` are those that services reported at the start. The stack starts all the same:
    history and the live bars of other feeds do not need the vendor.
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
        resume: bool = False,
    ) -> None:
        self.config = config.replace(stack={"feed": SIMULATOR}) if simulator else config
        self.folder = folder.absolute()
        self.children: dict[str, ChildProcess] = {}
        self.metrics_url = ""
        self.external_reasons: tuple[str, ...] = ()
        self._service_names = services
        self._simulator = simulator
        self._state = state or new_state(self.config)
        self._is_shared = state is not None
        mode: Mode = "demo" if simulator else "live"
        self._stack_folder = StackFolder(self.folder, mode, lock=lock, resume=resume)
        self._services: dict[str, ChildProcess] = {}
        self._readiness = Readiness(self._services)
        self._restarter = Restarter(self._readiness.on_exit)
        self._stopping: asyncio.Task[None] | None = None

    @property
    def restarts(self) -> dict[str, int]:
        """Restarts of each child by its name."""
        return self._restarter.restarts

    def bus_config(self, role: str) -> BusConfig:
        """Return the settings with which a process of a role (`client`, …, `admin`) connects."""
        password = Secret(self._state.passwords[role])
        return msgspec.structs.replace(self.config.bus, user=role, password=password)

    def role_config(self, role: str) -> Config:
        """Return the settings for a process of a role; only ingest gets Alpaca's keys."""
        bus: dict[str, Any] = msgspec.structs.asdict(self.bus_config(role))
        changes: dict[str, dict[str, object]] = {"bus": bus}
        if role != "ingest":
            changes["alpaca"] = {"key_id": Secret(""), "secret_key": Secret("")}
        return self.config.replace(**changes)

    async def stop_child(self, name: str) -> None:
        """Stop one child and do not restart it."""
        child = self.children[name]
        await self._restarter.unwatch(name)
        await stop_children([child], limit_s=STOP_SERVICES_S)

    async def __aenter__(self) -> Self:
        """Start the stack."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the stack."""
        await self.stop()

    async def start(self) -> None:
        """
        Start everything and wait until every service is ready, external reasons aside.

        StackError with the last output of what could not start. Then, or when this is cancelled,
        nothing is left running.
        """
        self._check_installed()
        self._stack_folder.acquire()
        try:
            await self._start(time.monotonic() + self.config.stack.start_s)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop everything; idempotent, and not cut short by a cancellation."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop(), name="stop the stack")
        await finish(asyncio.wait([self._stopping]))
        self._stopping.result()

    async def _start(self, deadline: float) -> None:
        try:
            async with asyncio.TaskGroup() as starting:
                starting.create_task(self._start_brokers(deadline))
                if self._simulator is not None:
                    starting.create_task(self._start_simulator(self._simulator, deadline))
        except* StackError as errors:
            # The first one is the cause; it cancelled the others.
            raise errors.exceptions[0] from None
        if self._is_shared:
            write_state(self.folder, self._state)
        # Heartbeats are needed only during the start, so the connection is closed after it.
        bus = await connect(self.bus_config(ADMIN), ADMIN, name="stack")
        try:
            await self._create_streams(bus)
            await self._start_services(bus, deadline)
        finally:
            await bus.connection.close()
        self._stack_folder.publish_description(self._facts())

    def _facts(self) -> dict[str, object]:
        state = self._state
        return {
            "session": state.id if self._is_shared else "",
            "feed": state.feed,
            "account": state.account,
            "bus_url": self.config.bus.url,
            "user": "client",
            "password": state.passwords["client"],
            "feed_user": "feed",
            "feed_password": state.passwords["feed"],
            "metrics_url": self.metrics_url,
            "outside": self.external_reasons,
        }

    async def _start_brokers(self, deadline: float) -> None:
        programs, state = self.config.stack, self._state
        password = new_password()
        nats = NatsServer(
            self.folder, state.passwords, program=programs.nats_server, port=state.nats_port
        )
        valkey = ValkeyServer(self.folder, password, program=programs.valkey_server)
        for broker in (nats, valkey):
            self.children[broker.name] = broker.child
        limit_s = max(deadline - time.monotonic(), CHECK_S)
        await asyncio.gather(*(broker.start(limit_s=limit_s) for broker in (nats, valkey)))
        for broker in (nats, valkey):
            self._restarter.watch(broker.child)
        self.config = self.config.replace(
            bus={"url": nats.url},
            store={"path": str(self.folder / "store"), "redis_url": Secret(valkey.url)},
        )

    async def _start_simulator(self, options: SimulatorOptions, deadline: float) -> None:
        child = SimulatorProcess(options, child_log(self.folder, "simulator"), self._state.clock)
        self.children[child.name] = child
        child.start()
        while (settings := child.alpaca_settings()) is None:
            if not child.running:
                raise StackError(f"the simulator could not start: {child.log.last_error()}")
            if time.monotonic() > deadline:
                limit_s = self.config.stack.start_s
                message = f"the simulator was not ready within {limit_s:g} s (`stack.start_s`)"
                raise StackError(message)
            await asyncio.sleep(CHECK_S)
        self.config = self.config.replace(alpaca=settings)
        self._state = msgspec.structs.replace(self._state, clock=child.reading)
        self._restarter.watch(child)

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

    async def _start_services(self, bus: Bus, deadline: float) -> None:
        metrics = {"port": self._state.metrics_port}
        self.config = self.config.replace(metrics=metrics, service={"health_port": 0})
        await self._readiness.start(bus)
        for name in self._service_names:
            command = (sys.executable, "-m", f"lean_lite_{name}")
            child = ChildProcess(
                name, command, child_log(self.folder, name), self._environment(name)
            )
            self._services[name] = self.children[name] = child
            child.start()
            self._restarter.watch(child)
        heartbeats = await self._readiness.wait(limit_s=max(deadline - time.monotonic(), CHECK_S))
        self.external_reasons = tuple(
            reason for heartbeat in heartbeats.values() for reason in heartbeat.outside
        )
        if "metrics" in heartbeats:
            infos = heartbeats["metrics"].counted("lean_lite_metrics_info")
            self.metrics_url = next((info.labels["url"] for info in infos), "")

    def _environment(self, name: str) -> dict[str, str]:
        drain_s = min(self.config.service.drain_s, DRAIN_S)
        config = self.role_config(name).replace(service={"drain_s": drain_s})
        return child_environment(config.environment())

    async def _stop(self) -> None:
        self._stack_folder.remove_description()
        await self._restarter.stop()
        brokers = [self.children.pop(name) for name in ("nats", "valkey") if name in self.children]
        await stop_children(self.children.values(), limit_s=STOP_SERVICES_S)
        await stop_children(brokers, limit_s=STOP_BROKERS_S)
        self.children.clear()
        self._stack_folder.release()

    def _check_installed(self) -> None:
        packages = [*self._service_names, *(["sim"] if self._simulator else [])]
        missing = [name for name in packages if find_spec(f"lean_lite_{name}") is None]
        if missing:
            names = ", ".join(f"lean-lite-{name}" for name in missing)
            raise StackError(f'{names} is not installed: run `pip install "lean-lite[stack]"`')
