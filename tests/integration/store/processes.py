"""The programs that these tests start and kill."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from lean_lite.stack.ports import free_port

PATIENCE_S = 40.0


async def until(what: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    async with asyncio.timeout(patience_s):
        while not what():
            await asyncio.sleep(0.02)


class Server:
    """A broker that can be killed and started again on its port."""

    def __init__(self, command: list[str], port: int, folder: Path) -> None:
        self.command = command
        self.port = port
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + PATIENCE_S
        while not self._listens():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _listens(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0


class Store:
    """The service as a process of its own."""

    def __init__(self, nats_url: str, folder: Path, redis_url: str) -> None:
        self.folder = folder
        self.file = folder / "store-0.sqlite"
        self.port = free_port()
        self.settings = {
            "LEAN_LITE_BUS__URL": nats_url,
            "LEAN_LITE_BUS__USER": "store",
            "LEAN_LITE_BUS__PASSWORD": "store",
            "LEAN_LITE_STORE__PATH": str(folder),
            "LEAN_LITE_STORE__REDIS_URL": redis_url,
            "LEAN_LITE_SERVICE__HEALTH_PORT": str(self.port),
        }
        self.log = folder.parent / "store.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **settings: str) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lean_lite_store"],
                env=os.environ | self.settings | settings,
                stderr=log,
            )

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(number)
        code = self.process.wait(20)
        self.process = None
        return code

    def failing(self) -> str:
        """What keeps it from being ready; nothing when it is ready."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5):
                return ""
        except urllib.error.HTTPError as error:
            with error:
                return error.read().decode()
        except OSError:
            return "not there"

    async def ready(self) -> None:
        await until(lambda: not self.failing())

    def counter(self, name: str) -> float:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as page:
            lines = page.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))
