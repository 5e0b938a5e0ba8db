"""Who uses the stack of a folder: everybody who shares a lock."""

import asyncio
import os
import sys
import time
from pathlib import Path

from lean_lite.stack.files import FileLock

LOCK = "users.lock"
KEEP = "keep"
LOOK_S = 1.0
# A stack that has just started waits for its first user, who may be waiting for it.
FIRST_S = 5.0


class UserLock:
    """Count as one user, or, as the supervisor, find out whether there is any."""

    def __init__(self, folder: Path) -> None:
        """Hold nothing before `join` or `gone`."""
        self._lock = FileLock(folder / LOCK)
        self._keep = folder / KEEP

    def join(self) -> bool:
        """Become a user; False while the stack is about to stop."""
        joined = self._lock.acquire(shared=True)
        if joined:
            os.utime(self._lock.path)
        return joined

    def leave(self) -> None:
        """Use it no more; does nothing when we don't."""
        if self._lock.descriptor is not None:
            os.utime(self._lock.path)
            self._lock.release()

    def in_use(self) -> bool:
        """Say whether somebody uses the stack now, ourselves not counted."""
        free = self._lock.acquire()
        self._lock.release()
        return not free

    def keep_running(self) -> None:
        """Let the stack run without users until `forget`."""
        self._keep.touch(0o600)

    @property
    def kept(self) -> bool:
        """Say whether the stack shall run without users."""
        return self._keep.exists()

    def allow_stop(self) -> None:
        """Let the stack end with its last user again."""
        self._keep.unlink(missing_ok=True)

    async def wait_until_unused(self, linger_s: float) -> None:
        """Return when nobody has used the stack for so long, holding newcomers off from then on."""
        self._lock.path.touch(0o600)
        until, touched = time.monotonic() + FIRST_S, 0
        while True:
            last, touched = touched, self._lock.path.stat().st_mtime_ns
            if self.kept or touched != last or not self._lock.acquire():
                until = max(until, time.monotonic() + linger_s)
            elif time.monotonic() >= until:
                return
            self._lock.release()
            await asyncio.sleep(min(LOOK_S, linger_s))

    def count(self) -> int | None:
        """Return how many share the lock; None where the system does not tell."""
        if sys.platform != "linux":
            return None
        try:
            inode = str(self._lock.path.stat().st_ino)
            lines = Path("/proc/locks").read_text("utf-8").splitlines()
        except OSError:
            return None
        fields = (line.split() for line in lines if "->" not in line)
        return sum(
            kind == "FLOCK" and access == "READ" and place.rpartition(":")[2] == inode
            for _, kind, _, access, _, place, *_ in fields
        )
