"""Claim one file of the store's folder: every store process owns its own."""

import errno
import fcntl
import itertools
import os
from pathlib import Path

from lean_lite.errors import ConfigError, StoreError


class Slot:
    """
    Ownership of `store-N.sqlite` while the lock on `store-N.lock` is held.

    The lock is a file of its own: closing any descriptor of a database drops SQLite's own locks.
    """

    def __init__(self, folder: Path, number: int, descriptor: int) -> None:
        self.number = number
        self.path = folder / f"store-{number}.sqlite"
        self._descriptor = descriptor

    def release(self) -> None:
        """Release the lock."""
        os.close(self._descriptor)


def claim_slot(folder: str) -> Slot:
    """
    Claim the first free slot of a folder, creating the folder if needed.

    ConfigError when no folder is named, StoreError when it can't be used.
    """
    if not folder:
        raise ConfigError("store.path", "is empty: name the folder for the bars")
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        for number in itertools.count():
            descriptor = os.open(path / f"store-{number}.lock", os.O_RDWR | os.O_CREAT, 0o600)
            if _lock(descriptor):
                return Slot(path, number, descriptor)
            os.close(descriptor)
    except OSError as error:
        message = (
            f"the folder {path} of `store.path` can't be used: {error.strerror}; "
            "allow this user to write there, or name another folder"
        )
        raise StoreError(message) from error
    raise AssertionError


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        os.close(descriptor)
        raise
    return True
