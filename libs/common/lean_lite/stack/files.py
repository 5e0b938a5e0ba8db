"""File locks that the kernel releases with their holder, and private files written atomically."""

import os
from pathlib import Path


class FileLock:
    """
    Lock on a file, exclusive or shared; acquiring it never waits.

    The kernel releases it when the holder ends, also by SIGKILL. `descriptor` is an open one that
    was inherited together with its lock.
    """

    def __init__(self, path: Path, descriptor: int | None = None) -> None:
        self.path = path
        self.descriptor = descriptor

    def acquire(self, *, shared: bool = False) -> bool:
        """Return whether the lock was acquired; OSError when the file can't be opened."""
        import fcntl  # noqa: PLC0415 - not there on Windows, where the package still imports

        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self.descriptor = descriptor
        return True

    def release(self) -> None:
        """Release the lock; does nothing when it is not held."""
        import fcntl  # noqa: PLC0415 - as above

        if self.descriptor is not None:
            # Unlocked before it is closed: a forked process may hold a copy of the descriptor.
            fcntl.flock(self.descriptor, fcntl.LOCK_UN)
            self.detach()

    def detach(self) -> None:
        """Close the descriptor; a process that has inherited it still holds the lock."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read; a reader sees all of it or the old one."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)
