"""A lock on a file, which the kernel releases when its holder ends, however it ends."""

import os
from pathlib import Path


class FileLock:
    """Hold a file alone or shared with others; taking it never waits."""

    def __init__(self, path: Path, descriptor: int | None = None) -> None:
        """Hold nothing before `take`, unless an open descriptor was inherited with its lock."""
        self.path = path
        self.descriptor = descriptor

    def acquire(self, *, shared: bool = False) -> bool:
        """Return whether the file is ours now; OSError when it can't be opened."""
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
        """Let others have it; does nothing when it is not held."""
        import fcntl  # noqa: PLC0415 - as above

        if self.descriptor is not None:
            # Unlocked before it is closed: a forked process may hold a copy of the descriptor.
            fcntl.flock(self.descriptor, fcntl.LOCK_UN)
            self.detach()

    def detach(self) -> None:
        """Hold it no longer ourselves; a process that has inherited it still does."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)
