"""Open a store file: pragmas, schema, transactions."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from lean_lite.errors import StoreError

BUSY_MS = 5_000
PRAGMAS = (
    "PRAGMA page_size=8192",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    # Inline checkpoints cost 60 ms at p99; `checkpoints` does them from another thread.
    "PRAGMA wal_autocheckpoint=0",
    "PRAGMA foreign_keys=ON",
)
# In order; each is one transaction, and the number of applied ones is the schema's version.
MIGRATIONS = (
    """
    CREATE TABLE position(subject TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE stream(name TEXT PRIMARY KEY, created_ns INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE journal(
      seq INTEGER PRIMARY KEY AUTOINCREMENT,
      feed TEXT NOT NULL,
      res_s INTEGER NOT NULL,
      day INTEGER NOT NULL,
      n INTEGER NOT NULL,
      bars INTEGER NOT NULL,
      crc INTEGER NOT NULL,
      data BLOB NOT NULL
    );
    CREATE INDEX journal_day ON journal(day);
    CREATE TABLE undecodable(
      seq INTEGER NOT NULL,
      subject TEXT NOT NULL,
      error TEXT NOT NULL,
      data BLOB NOT NULL
    );
    """,
    """
    CREATE TABLE coverage(
      feed TEXT NOT NULL,
      res_s INTEGER NOT NULL,
      simulated INTEGER NOT NULL,
      symbol TEXT NOT NULL,
      start_ns INTEGER NOT NULL,
      end_ns INTEGER NOT NULL,
      PRIMARY KEY(feed, res_s, simulated, symbol, start_ns)
    ) WITHOUT ROWID;
    ALTER TABLE position ADD COLUMN raw_seq INTEGER NOT NULL DEFAULT 0;
    """,
)


def open_store(path: Path) -> apsw.Connection:
    """
    Open a store file for writing, creating it and migrating its schema as needed.

    StoreError when it can't be opened, is not a store file, or comes from a newer version.
    """
    try:
        connection = apsw.Connection(str(path))
        connection.set_busy_timeout(BUSY_MS)
        for pragma in PRAGMAS:
            connection.execute(pragma)
        _migrate(connection, path)
    except apsw.Error as error:
        message = (
            f"{path} can't be opened: {error}; free space on the disk or correct its permissions "
            "if that is why, else move the file away: the store then reads the stream from the "
            "start"
        )
        raise StoreError(message) from error
    return connection


def open_reader(path: Path) -> apsw.Connection:
    """Open a store file for reading, also while a store writes to it; StoreError on failure."""
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        connection.set_busy_timeout(BUSY_MS)
        connection.execute("SELECT 1 FROM meta").fetchall()
    except apsw.Error as error:
        message = f"{path} is not a readable store file: {error}"
        raise StoreError(message) from error
    return connection


@contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """Commit everything inside, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A COMMIT that the disk refused may or may not have ended the transaction.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _migrate(connection: apsw.Connection, path: Path) -> None:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID"
    )
    row = connection.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
    done = int(row[0]) if row else 0
    if done > len(MIGRATIONS):
        message = f"{path} has schema {done}, newer than {len(MIGRATIONS)}: upgrade this store"
        raise StoreError(message)
    for version, statements in enumerate(MIGRATIONS[done:], done + 1):
        with transaction(connection):
            connection.execute(statements)
            connection.execute("INSERT OR REPLACE INTO meta VALUES('schema', ?)", (version,))
