"""The folder of a stack: who holds it, what is in it, and where a running stack is described."""

import json
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from lean_lite.config import Config
from lean_lite.config.environment import data_folder
from lean_lite.errors import StackError
from lean_lite.stack.files import FileLock, write_private
from lean_lite.stack.processes.pid import is_same_process, start_time

Mode = Literal["live", "demo"]
MODES: tuple[Mode, ...] = ("live", "demo")
CONTENTS = ("nats", "valkey", "store", "logs")
LOCK = "stack.lock"
DESCRIPTION = "stack.json"
MODE = "mode"


def default_folder(config: Config, mode: Mode) -> Path:
    """Return the folder of a mode: below `stack.folder`, else below the user's data folder."""
    root = Path(config.stack.folder).expanduser() if config.stack.folder else data_folder()
    return root.absolute() / mode


def find_stack(config: Config) -> dict[str, Any] | None:
    """
    Return what `stack.json` says of the stack that runs in a default folder, live before demo.

    Keys: mode, pid, started (in the kernel's ticks), since_ns, folder, session, feed, account,
    bus_url, user, password, feed_user, feed_password, metrics_url, outside (at its start).
    """
    found = (read_description(default_folder(config, mode)) for mode in MODES)
    return next((said for said in found if said), None)


def read_description(folder: Path) -> dict[str, Any] | None:
    """Return what `stack.json` says of the stack that runs in this folder."""
    try:
        said = json.loads((folder / DESCRIPTION).read_text("utf-8"))
        return dict(said) if is_same_process(said["pid"], said["started"]) else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


class StackFolder:
    """
    Hold a folder for one stack alone, and keep demo and live data apart.

    `lock` is the descriptor of a lock that was taken for us; `resumes` keeps a demo's data.
    """

    def __init__(
        self, path: Path, mode: Mode, *, lock: int | None = None, resumes: bool = False
    ) -> None:
        """Touch nothing before `take`."""
        self.path = path.absolute()
        self.mode = mode
        self._lock = owner_lock(self.path, lock)
        self._resumes = resumes

    def acquire(self) -> None:
        """Lock the folder; a demo's data is wiped. StackError when it is not ours to take."""
        try:
            make_folder(self.path)
            self._acquire_lock()
            self._claim_mode()
            self.remove_description()
            if self.mode == "demo" and not self._resumes:
                self._wipe()
        except OSError as error:
            self.release()
            raise describe_unusable(self.path, error) from error
        except StackError:
            self.release()
            raise

    def publish_description(self, facts: Mapping[str, object]) -> None:
        """Write `stack.json` for those who look for a running stack."""
        pid = os.getpid()
        who = {
            "mode": self.mode,
            "pid": pid,
            "started": start_time(pid),
            "since_ns": time.time_ns(),
        }
        said = {**who, "folder": str(self.path), **facts}
        write_private(self.path / DESCRIPTION, json.dumps(said, indent=2))

    def remove_description(self) -> None:
        """Remove the description, so that nobody finds our stack any more."""
        if self._lock.descriptor is not None:
            (self.path / DESCRIPTION).unlink(missing_ok=True)

    def release(self) -> None:
        """Remove the description and unlock; does nothing when the folder is not held."""
        if self._lock.descriptor is not None:
            self.remove_description()
            self._lock.path.write_text("", "utf-8")
            self._lock.release()

    def _acquire_lock(self) -> None:
        if self._lock.descriptor is None and not self._lock.acquire():
            holder = read_owner(self.path) or "unknown"
            message = (
                f"a stack already runs in {self.path} (process {holder}): stop it "
                "(`lean-lite down`), use it, or set `stack.folder` to another folder"
            )
            raise StackError(message)
        write_owner(self.path, os.getpid())

    def _claim_mode(self) -> None:
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


def describe_unusable(path: Path, error: OSError) -> StackError:
    """Return why a folder can't be a stack's, and what to do."""
    return StackError(
        f"{path} can't be used as a stack's folder: {error}; give yourself the right to write "
        "there, or set `stack.folder` to another folder"
    )


def make_folder(path: Path) -> None:
    """Make a folder for the user alone, and those above it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def owner_lock(folder: Path, descriptor: int | None = None) -> FileLock:
    """Return the lock of whoever runs or starts a stack in a folder."""
    return FileLock(folder / LOCK, descriptor)


def write_owner(folder: Path, pid: int) -> None:
    """Write down who holds the lock."""
    (folder / LOCK).write_text(f"{pid} {start_time(pid)}\n", "utf-8")


def read_owner(folder: Path) -> int:
    """Return the process that runs or starts a stack in a folder; 0 when there is none."""
    try:
        pid, started_at = map(int, (folder / LOCK).read_text("utf-8").split())
    except (OSError, ValueError):
        return 0
    return pid if is_same_process(pid, started_at) else 0
