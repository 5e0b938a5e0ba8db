"""What outlives the death of a supervisor, so that its successor is found at the same place."""

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
DYING_S = 5.0
LOOK_S = 0.02


class StackState(msgspec.Struct, frozen=True):
    """
    Hold what users of a stack rely on, from its fresh start to its orderly end.

    `clock` is a reading of the simulator's clock, from which a new simulator goes on.
    """

    id: str
    feed: str
    account: str
    passwords: dict[str, str]
    nats_port: int
    metrics_port: int
    clock: ClockReading | None = None


def new_state(config: Config) -> StackState:
    """Return a session with passwords and ports of its own."""
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
    """Return the session of a folder; None when it has ended in order, or never began."""
    try:
        return msgspec.json.decode((folder / STATE_FILE).read_bytes(), type=StackState)
    except (OSError, msgspec.MsgspecError):
        return None


def write_state(folder: Path, session: StackState) -> None:
    """Keep a session, for its owner's eyes only."""
    write_private(folder / STATE_FILE, msgspec.json.encode(session).decode())


def remove_state(folder: Path) -> None:
    """Leave nothing to go on from."""
    (folder / STATE_FILE).unlink(missing_ok=True)


async def resume_state(session: StackState) -> StackState:
    """
    Return the session to go on with.

    The processes of a killed supervisor die within moments, and their ports come free. If somebody
    else has taken one, it is another session on another port: its users have to join anew.
    """
    until = time.monotonic() + DYING_S
    ports = (session.nats_port, session.metrics_port)
    while not all(map(is_free, ports)) and time.monotonic() < until:  # noqa: ASYNC110
        await asyncio.sleep(LOOK_S)
    if not is_free(session.metrics_port):
        session = msgspec.structs.replace(session, metrics_port=free_port())
    if not is_free(session.nats_port):
        session = msgspec.structs.replace(session, id=secrets.token_hex(8), nats_port=free_port())
    return session
