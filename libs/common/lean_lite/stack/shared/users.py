"""UserLock: the users of a stack, counted by a lock that they share."""

import asyncio
import os
import sys
import time
from pathlib import Path

from lean_lite.stack.files import FileLock

LOCK = "users.lock"
KEEP = "keep"
CHECK_S = 1.0
# The program that started the stack joins it as soon as it is ready.
FIRST_USER_S = 5.0


class UserLock:
    """
    The lock in a folder that each user holds shared, and a stopping supervisor exclusively.

    A user updates the time of the file when it joins and leaves, so that the supervisor notices
    even users that join and leave between two of its checks.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = FileLock(folder / LOCK)
        self._keep = folder / KEEP

    def join(self) -> bool:
        """Become a user; False while the stack stops."""
        joined = self._lock.acquire(shared=True)
        if joined:
            os.utime(self._lock.path)
        return joined

    def leave(self) -> None:
        """Stop being a user; idempotent."""
        if self._lock.descriptor is not None:
            os.utime(self._lock.path)
            self._lock.release()

    def in_use(self) -> bool:
        """Return whether the stack has other users."""
        unused = self._lock.acquire()
        self._lock.release()
        return not unused

    def keep_running(self) -> None:
        """Let the stack run without users until `allow_stop`."""
        self._keep.touch(0o600)

    @property
    def kept(self) -> bool:
        """Whether the stack runs without users."""
        return self._keep.exists()

    def allow_stop(self) -> None:
        """Let the stack stop with its last user."""
        self._keep.unlink(missing_ok=True)

    async def wait_until_unused(self, linger_s: float) -> None:
        """Wait until there has been no user for `linger_s`; the lock is held exclusively then."""
        self._lock.path.touch(0o600)
        deadline, touched = time.monotonic() + FIRST_USER_S, 0
        while True:
            last, touched = touched, self._lock.path.stat().st_mtime_ns
            if self.kept or touched != last or not self._lock.acquire():
                deadline = max(deadline, time.monotonic() + linger_s)
            elif time.monotonic() >= deadline:
                return
            self._lock.release()
            await asyncio.sleep(min(CHECK_S, linger_s))

    def count(self) -> int | None:
        """Return the number of users; None where the system does not list locks."""
        # psutil lists the files that a process has open, not who holds a lock.
        if sys.platform != "linux":
            return None
        try:
            inode = str(self._lock.path.stat().st_ino)
            lines = Path("/proc/locks").read_text("utf-8").splitlines()
        except OSError:
            return None
        # "->" marks a process that waits for a lock.
        fields = (line.split() for line in lines if "->" not in line)
        return sum(
            kind == "FLOCK" and access == "READ" and file.rpartition(":")[2] == inode
            for _, kind, _, access, _, file, *_ in fields
        )
