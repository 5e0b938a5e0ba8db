"""The folder of a stack: who holds it, what is in it, and where a running stack is described."""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from lean_lite.config import Config
from lean_lite.config.surroundings import data_folder
from lean_lite.errors import StackError
from lean_lite.stack.brokers import write_private

Mode = Literal["live", "demo"]
MODES: tuple[Mode, ...] = ("live", "demo")
CONTENTS = ("nats", "valkey", "store", "logs")
LOCK = "stack.lock"
DESCRIPTION = "stack.json"
MODE = "mode"


def default_folder(config: Config, mode: Mode) -> Path:
    """Return the folder of a mode: below `stack.folder`, else below the user's data folder."""
    root = Path(config.stack.folder).expanduser() if config.stack.folder else data_folder()
    return root / mode


def find_stack(config: Config) -> dict[str, Any] | None:
    """
    Return what `stack.json` says of the stack that runs in a default folder, live before demo.

    Keys: mode, pid, folder, feed, bus_url, user, password, metrics_url.
    """
    for mode in MODES:
        try:
            said = json.loads((default_folder(config, mode) / DESCRIPTION).read_text("utf-8"))
            if _alive(said["pid"]):
                return dict(said)
        except (OSError, ValueError, TypeError, KeyError):
            continue
    return None


class StackFolder:
    """Hold a folder for one stack alone, and keep demo and live data apart."""

    def __init__(self, path: Path, mode: Mode) -> None:
        """Touch nothing before `take`."""
        self.path = path.absolute()
        self.mode = mode
        self._lock: int | None = None

    def take(self) -> None:
        """Lock the folder; a demo's data is wiped. StackError when it is not ours to take."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._take_lock()
            self._take_mode()
            (self.path / DESCRIPTION).unlink(missing_ok=True)
            if self.mode == "demo":
                self._wipe()
        except OSError as error:
            self.release()
            raise StackError(f"{self.path} can't be used as a stack's folder: {error}") from error
        except StackError:
            self.release()
            raise

    def describe(self, facts: Mapping[str, object]) -> None:
        """Write `stack.json` for those who look for a running stack."""
        said = {"mode": self.mode, "pid": os.getpid(), "folder": str(self.path), **facts}
        write_private(self.path / DESCRIPTION, json.dumps(said, indent=2))

    def release(self) -> None:
        """Remove the description and unlock; does nothing when the folder is not held."""
        if self._lock is None:
            return
        (self.path / DESCRIPTION).unlink(missing_ok=True)
        os.close(self._lock)
        self._lock = None

    def _take_lock(self) -> None:
        import fcntl  # noqa: PLC0415 - not there on Windows, where the package still imports

        descriptor = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode().strip() or "unknown"
            os.close(descriptor)
            message = (
                f"a stack already runs in {self.path} (process {holder}): "
                "stop it, use it, or set `stack.folder` to another folder"
            )
            raise StackError(message) from error
        self._lock = descriptor
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

    def _take_mode(self) -> None:
        marker = self.path / MODE
        if marker.exists():
            found = marker.read_text("utf-8").strip()
        else:
            strange = any((self.path / name).exists() for name in CONTENTS)
            found = "live" if strange else self.mode
        if found != self.mode:
            message = (
                f"{self.path} holds {found} data and can't be used for a {self.mode} stack: "
                "set `stack.folder` to another folder"
            )
            raise StackError(message)
        marker.write_text(f"{self.mode}\n", "utf-8")

    def _wipe(self) -> None:
        for name in CONTENTS:
            path = self.path / name
            if path.exists():
                shutil.rmtree(path)


def _alive(pid: int) -> bool:
    # On Windows there is no embedded stack, and this call would end the process.
    if sys.platform == "win32":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
