"""StackState: what a supervisor leaves to its successor, so that clients reconnect unchanged."""

import asyncio
import secrets
import time
from pathlib import Path

import msgspec

from lean_lite.config import Config
from lean_lite.stack.credentials import new_passwords
from lean_lite.stack.files import write_private
from lean_lite.stack.identity import account_of
from lean_lite.stack.processes.ports import free_port, is_free
from lean_lite.stack.processes.simulator import ClockReading

STATE_FILE = "session.json"
# The children of a killed supervisor die with it; this bounds the wait for their ports.
PORTS_FREE_S = 5.0
CHECK_S = 0.02


class StackState(msgspec.Struct, frozen=True):
    """
    What the users of a shared stack rely on, from its fresh start to its orderly stop.

    `id` changes when users can't continue. `clock` is the simulator's, which a new one continues.
    """

    id: str
    feed: str
    account: str
    passwords: dict[str, str]
    nats_port: int
    metrics_port: int
    clock: ClockReading | None = None


def new_state(config: Config) -> StackState:
    """Return a state with new passwords and free ports."""
    metrics_port = config.stack.metrics_port or config.metrics.port or free_port()
    return StackState(
        secrets.token_hex(8),
        config.alpaca.feed,
        account_of(config),
        new_passwords(),
        free_port(),
        metrics_port,
    )


def read_state(folder: Path) -> StackState | None:
    """Return the state in a folder; None after an orderly stop, or before the first start."""
    try:
        return msgspec.json.decode((folder / STATE_FILE).read_bytes(), type=StackState)
    except (OSError, msgspec.MsgspecError):
        return None


def write_state(folder: Path, state: StackState) -> None:
    """Write the state, readable for its owner alone."""
    write_private(folder / STATE_FILE, msgspec.json.encode(state).decode())


def remove_state(folder: Path) -> None:
    """Remove the state: the next start is a fresh one."""
    (folder / STATE_FILE).unlink(missing_ok=True)


async def resume_state(state: StackState) -> StackState:
    """
    Return the state to continue with, once the ports of the killed stack are free.

    If another program has taken the port of NATS, it is a new `id` on another port: users can't
    reconnect by themselves and have to join again.
    """
    deadline = time.monotonic() + PORTS_FREE_S
    ports = (state.nats_port, state.metrics_port)
    while not all(map(is_free, ports)) and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(CHECK_S)
    if not is_free(state.metrics_port):
        state = msgspec.structs.replace(state, metrics_port=free_port())
    if not is_free(state.nats_port):
        state = msgspec.structs.replace(state, id=secrets.token_hex(8), nats_port=free_port())
    return state
