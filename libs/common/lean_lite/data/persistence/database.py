"""SQLite file of DataPersistence: opening, migrations, transactions, error texts."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lean_lite.errors import StoreError

try:
    import apsw
except ImportError as error:
    message = "DataPersistence needs apsw: pip install 'lean-lite[persistence]'"
    raise ImportError(message) from error

# Our own transactions take milliseconds: after this long another program holds the file.
BUSY_MS = 5_000
RETRY_S = 0.01
# In order; the number of the last one done is the schema's version, SQLite's `user_version`.
MIGRATIONS = (
    """
    CREATE TABLE market_data(
      id INTEGER PRIMARY KEY,
      symbol TEXT NOT NULL,
      timestamp TEXT NOT NULL,
      data_type TEXT NOT NULL,
      data TEXT NOT NULL,
      quality_score REAL
    ) STRICT;
    CREATE INDEX market_data_symbol ON market_data(symbol, timestamp);
    CREATE INDEX market_data_timestamp ON market_data(timestamp);
    CREATE TABLE metrics(
      id INTEGER PRIMARY KEY,
      timestamp TEXT NOT NULL,
      data TEXT NOT NULL
    ) STRICT;
    CREATE INDEX metrics_timestamp ON metrics(timestamp);
    CREATE TABLE errors(
      id INTEGER PRIMARY KEY,
      timestamp TEXT NOT NULL,
      error_type TEXT NOT NULL,
      message TEXT NOT NULL,
      symbol TEXT
    ) STRICT;
    CREATE INDEX errors_timestamp ON errors(timestamp);
    """,
    # The first version did not record when a row was saved: its rows count as saved now.
    """
    CREATE TABLE market_data_with_saved_at(
      id INTEGER PRIMARY KEY,
      symbol TEXT NOT NULL,
      timestamp TEXT NOT NULL,
      data_type TEXT NOT NULL,
      data TEXT NOT NULL,
      quality_score REAL,
      saved_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z')
    ) STRICT;
    INSERT INTO market_data_with_saved_at(id, symbol, timestamp, data_type, data, quality_score)
      SELECT id, symbol, timestamp, data_type, data, quality_score FROM market_data;
    DROP TABLE market_data;
    ALTER TABLE market_data_with_saved_at RENAME TO market_data;
    CREATE INDEX market_data_symbol ON market_data(symbol, timestamp);
    CREATE INDEX market_data_saved_at ON market_data(saved_at);
    """,
)


class Database:
    """One connection to the file, its schema up to date. Thread-safe; errors are StoreError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection = _open(path)

    def close(self) -> None:
        """Close the file; idempotent."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[apsw.Connection]:
        """Run what is inside as one transaction, rolled back if it raises."""
        with self._lock, _store_errors(self.path), _transaction(self._connection):
            yield self._connection

    def fetch_all(self, query: str, values: Sequence[str]) -> Sequence[tuple[object, ...]]:
        """Return all rows of a query."""
        with self._lock, _store_errors(self.path):
            return self._connection.execute(query, values).fetchall()


def _open(path: Path) -> apsw.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = apsw.Connection(str(path))
        _enable_wal(connection)
        connection.set_busy_timeout(BUSY_MS)
        connection.execute("PRAGMA synchronous=NORMAL")
        # Several processes may open a new file together: the lock makes the second one see the
        # version that the first has written.
        with _transaction(connection):
            _migrate(connection, path)
    except (apsw.Error, OSError) as error:
        message = f"{path} can't be opened: {error}; use another file, or correct its access rights"
        raise StoreError(message) from error
    return connection


def _enable_wal(connection: apsw.Connection) -> None:
    """Turn on the write-ahead log; retry here, because two waits inside SQLite deadlock."""
    deadline_s = time.monotonic() + BUSY_MS / 1_000
    while True:
        try:
            connection.pragma("journal_mode", "wal")
        except apsw.BusyError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(RETRY_S)
        else:
            return


@contextmanager
def _transaction(connection: apsw.Connection) -> Iterator[None]:
    # `with connection` would block all other threads while it waits for the file's lock.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite rolls back by itself after some errors, such as a full disk.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _migrate(connection: apsw.Connection, path: Path) -> None:
    version = connection.pragma("user_version")
    if version > len(MIGRATIONS):
        message = f"{path} comes from a newer version of Lean-Lite: upgrade, or use another file"
        raise StoreError(message)
    for number, sql in enumerate(MIGRATIONS[version:], version + 1):
        connection.execute(sql)
        connection.pragma("user_version", number)


@contextmanager
def _store_errors(path: Path) -> Iterator[None]:
    """Raise SQLite's errors as StoreError with what to do."""
    try:
        yield
    except apsw.ConnectionClosedError as error:
        message = f"{path} is closed: open it again with DataPersistence({str(path)!r})"
        raise StoreError(message) from error
    except apsw.BusyError as error:
        message = (
            f"{path} has been locked by another program for {BUSY_MS / 1_000:g} s: {error}; "
            "end that program's transaction, or use another file"
        )
        raise StoreError(message) from error
    except apsw.Error as error:
        message = (
            f"{path} can't be used: {error}; check free space on the disk and the file's access "
            "rights"
        )
        raise StoreError(message) from error
