"""WAL checkpoints from a connection and thread of their own."""

import logging
import threading
from pathlib import Path

import apsw

from lean_lite_store.storage.database import BUSY_MS

EVERY_S = 1.0

log = logging.getLogger(__name__)


class Checkpoints:
    """Checkpoints every second; passive ones, which never block a writer or reader."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the running checkpoint and stop the thread."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        connection: apsw.Connection | None = None
        failed = False
        while not self._stopped.wait(EVERY_S):
            try:
                connection = connection or _connection(self._path)
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            except apsw.Error as error:
                # The WAL grows, but nothing is lost; the writer reports a full disk.
                if not failed:
                    log.warning("checkpoint.failed", extra={"error": repr(error)})
                failed = True
            else:
                failed = False
        if connection is not None:
            connection.close()


def _connection(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(BUSY_MS)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    return connection
