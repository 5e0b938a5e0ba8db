"""The verb `status`: owner, users and services of the stack of this machine."""

import asyncio
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from lean_lite.bus import connect
from lean_lite.bus.heartbeats import HeartbeatMonitor
from lean_lite.config import BusConfig, Config
from lean_lite.config.sections import Secret
from lean_lite.errors import BusError
from lean_lite.stack import MODES, SERVICES, default_folder, find_stack
from lean_lite.stack.folder import read_owner
from lean_lite.stack.shared.users import UserLock

READY = "ready"
NOT_READY, NONE_RUNS = 1, 3
CONNECT_S = 2.0
CHECK_S = 0.02


class Status(msgspec.Struct, frozen=True):
    """Status of a running stack; `services` holds `ready` or the reasons of each."""

    mode: str
    feed: str
    account: str
    pid: int
    uptime_s: float
    folder: str
    bus_url: str
    metrics_url: str
    users: int | None
    kept: bool
    services: dict[str, str]
    ready: bool

    def as_text(self) -> str:
        """Return the status as lines for people."""
        users = "unknown number of users" if self.users is None else _plural(self.users, "user")
        kept = ", runs until `lean-lite down`" if self.kept else ""
        state = READY if self.ready else "not ready"
        rows = {
            "feed": self.feed + (", SIMULATED" if self.mode == "demo" else ""),
            "folder": self.folder,
            "bus": self.bus_url,
            "page": self.metrics_url,
            **self.services,
        }
        width = max(map(len, rows))
        uptime = f"process {self.pid} for {_duration(self.uptime_s)}"
        lines = [f"{self.mode} stack, {state}: {uptime}, {users}{kept}"]
        lines += [f"  {name:<{width}}  {text}" for name, text in rows.items()]
        return "\n".join(lines)


async def status(config: Config, *, as_json: bool) -> int:
    """Print the status; returns 0 if all services are ready, 1 if not, 3 if no stack is running."""
    facts = find_stack(config)
    if facts is None:
        return _print_absent(config, as_json=as_json)
    found = await read_status(config, facts)
    print_status(found, as_json=as_json)
    return 0 if found.ready else NOT_READY


async def read_status(config: Config, facts: Mapping[str, Any]) -> Status:
    """Read the status of a running stack; waits for a heartbeat of each service."""
    folder = Path(facts["folder"])
    services = await _services(config, facts)
    users = UserLock(folder)
    return Status(
        facts["mode"],
        facts["feed"],
        facts["account"],
        facts["pid"],
        round((time.time_ns() - facts["since_ns"]) / 1e9, 1),
        str(folder),
        facts["bus_url"],
        facts["metrics_url"],
        users.count(),
        users.kept,
        services,
        all(state == READY for state in services.values()),
    )


def print_status(found: Status, *, as_json: bool) -> None:
    """Print a status as one JSON object or as lines for people."""
    text = msgspec.json.encode(found).decode() if as_json else found.as_text()
    sys.stdout.write(text + "\n")


def _print_absent(config: Config, *, as_json: bool) -> int:
    busy = next((mode for mode in MODES if read_owner(default_folder(config, mode))), None)
    state = f"a {busy} stack is starting or stopping" if busy else "no stack is running"
    hint = "" if busy else ": start one with `lean-lite up`"
    if as_json:
        sys.stdout.write(msgspec.json.encode({"ready": False, "state": state}).decode() + "\n")
    else:
        sys.stdout.write(f"{state}{hint}\n")
    return NOT_READY if busy else NONE_RUNS


async def _services(config: Config, facts: Mapping[str, Any]) -> dict[str, str]:
    try:
        bus = await connect(_bus_config(config, facts), facts["user"], name="status")
    except BusError as error:
        return {"bus": str(error)}
    try:
        heartbeats = HeartbeatMonitor()
        await heartbeats.start(bus)
        deadline = time.monotonic() + 2.5 * config.service.heartbeat_s
        while len(heartbeats.states()) < len(SERVICES) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(CHECK_S)
        silent = dict.fromkeys(SERVICES, "no heartbeat")
        return silent | heartbeats.states()
    finally:
        await bus.close()


def _bus_config(config: Config, facts: Mapping[str, Any]) -> BusConfig:
    return msgspec.structs.replace(
        config.bus,
        url=facts["bus_url"],
        user=facts["user"],
        password=Secret(facts["password"]),
        connect_timeout_s=CONNECT_S,
    )


def _plural(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def _duration(seconds: float) -> str:
    for unit, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= unit:
            return _plural(int(seconds // unit), name)
    return _plural(int(seconds), "second")
