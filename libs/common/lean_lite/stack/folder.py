"""The folder of a stack: its lock, its mode, its data and the description of a running stack."""

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
    """Return the folder of a mode, below `stack.folder` or else below the user's data folder."""
    root = Path(config.stack.folder).expanduser() if config.stack.folder else data_folder()
    return root.absolute() / mode


def find_stack(config: Config) -> dict[str, Any] | None:
    """
    Return the description of the stack that runs in a default folder, live before demo.

    Keys: mode, pid, started (ticks since boot), since_ns, folder, session, feed, account, bus_url,
    user, password, feed_user, feed_password, metrics_url, outside (external reasons at its start).
    """
    found = (read_description(default_folder(config, mode)) for mode in MODES)
    return next((facts for facts in found if facts), None)


def read_description(folder: Path) -> dict[str, Any] | None:
    """Return the content of `stack.json` if the process that it names still runs."""
    try:
        facts = json.loads((folder / DESCRIPTION).read_text("utf-8"))
        return dict(facts) if is_same_process(facts["pid"], facts["started"]) else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


class StackFolder:
    """
    A folder that one stack owns, for either live or demo data.

    `lock` is the descriptor of a lock acquired for this process. `resume` keeps the data of a demo.
    """

    def __init__(
        self, path: Path, mode: Mode, *, lock: int | None = None, resume: bool = False
    ) -> None:
        self.path = path.absolute()
        self.mode = mode
        self._lock = owner_lock(self.path, lock)
        self._resume = resume

    def acquire(self) -> None:
        """
        Lock the folder and delete the data of an earlier demo.

        StackError when another stack runs there, its data is of the other mode, or it can't be
        written.
        """
        try:
            make_folder(self.path)
            self._acquire_lock()
            self._check_mode()
            self.remove_description()
            if self.mode == "demo" and not self._resume:
                self._delete_data()
        except OSError as error:
            self.release()
            raise unusable_folder(self.path, error) from error
        except StackError:
            self.release()
            raise

    def publish_description(self, facts: Mapping[str, object]) -> None:
        """Write `stack.json`, by which other programs find the stack."""
        pid = os.getpid()
        owner = {
            "mode": self.mode,
            "pid": pid,
            "started": start_time(pid),
            "since_ns": time.time_ns(),
        }
        description = {**owner, "folder": str(self.path), **facts}
        write_private(self.path / DESCRIPTION, json.dumps(description, indent=2))

    def remove_description(self) -> None:
        """Remove `stack.json`, so that no other program finds the stack."""
        if self._lock.descriptor is not None:
            (self.path / DESCRIPTION).unlink(missing_ok=True)

    def release(self) -> None:
        """Remove the description and unlock; does nothing when the folder is not locked."""
        if self._lock.descriptor is not None:
            self.remove_description()
            self._lock.path.write_text("", "utf-8")
            self._lock.release()

    def _acquire_lock(self) -> None:
        if self._lock.descriptor is None and not self._lock.acquire():
            owner = read_owner(self.path) or "unknown"
            message = (
                f"a stack already runs in {self.path} (process {owner}): stop it "
                "(`lean-lite down`), use it, or set `stack.folder` to another folder"
            )
            raise StackError(message)
        write_owner(self.path, os.getpid())

    def _check_mode(self) -> None:
        marker = self.path / MODE
        if marker.exists():
            found = marker.read_text("utf-8").strip()
        else:
            # Data without a marker might be live data: never delete it as a demo's.
            has_data = any((self.path / name).exists() for name in CONTENTS)
            found = "live" if has_data else self.mode
        if found != self.mode:
            message = (
                f"{self.path} holds {found} data and can't be used for a {self.mode} stack: "
                "set `stack.folder` to another folder"
            )
            raise StackError(message)
        marker.write_text(f"{self.mode}\n", "utf-8")

    def _delete_data(self) -> None:
        for name in CONTENTS:
            path = self.path / name
            if path.exists():
                shutil.rmtree(path)


def unusable_folder(path: Path, error: OSError) -> StackError:
    """Return the error of a folder that can't be read or written."""
    return StackError(
        f"{path} can't be used as a stack's folder: {error}; make it writable for this user, or "
        "set `stack.folder` to another folder"
    )


def make_folder(path: Path) -> None:
    """Make a folder that only this user can read, and its parents."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def owner_lock(folder: Path, descriptor: int | None = None) -> FileLock:
    """Return the lock of the process that runs or starts a stack in a folder."""
    return FileLock(folder / LOCK, descriptor)


def write_owner(folder: Path, pid: int) -> None:
    """Write the holder of the lock into its file."""
    (folder / LOCK).write_text(f"{pid} {start_time(pid)}\n", "utf-8")


def read_owner(folder: Path) -> int:
    """Return the process that runs or starts a stack in a folder; 0 if there is none."""
    try:
        pid, started_at = map(int, (folder / LOCK).read_text("utf-8").split())
    except (OSError, ValueError):
        return 0
    return pid if is_same_process(pid, started_at) else 0
