"""A file of what a strategy saw, in tables that anyone can open."""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple, Self

import msgspec

from lean_lite.data.metrics import DataMetrics
from lean_lite.data.persistence.batches import RowBatches, Rows
from lean_lite.data.persistence.values import (
    error_message,
    timestamp_ago,
    timestamp_hours_ago,
    to_json,
    to_score,
    to_text,
    to_timestamp,
)
from lean_lite.errors import StoreError
from lean_lite.model import DataQualityLevel

try:
    import apsw
except ImportError as error:
    message = "DataPersistence needs apsw: pip install 'lean-lite[persistence]'"
    raise ImportError(message) from error

BUSY_MS = 5_000
RETRY_S = 0.01
PRUNE_S = 3_600.0
# In order; each is one transaction, and the number of the last one done is the schema's version.
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
    # When a row was saved is not known of older ones: they are as good as saved now.
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
COLUMNS = MappingProxyType(
    {
        "market_data": ("symbol", "timestamp", "data_type", "data", "quality_score"),
        "metrics": ("timestamp", "data"),
        "errors": ("timestamp", "error_type", "message", "symbol"),
    }
)
SAVED = MappingProxyType({"market_data": "saved_at", "metrics": "timestamp", "errors": "timestamp"})


class Record(NamedTuple):
    """Hold what `save_market_data` takes, for `save_many`."""

    symbol: str
    timestamp: datetime
    data_type: str
    data: object
    quality_score: float | DataQualityLevel | None = None


class Retention(msgspec.Struct, frozen=True):
    """Say how long rows stay after they were saved; None keeps them for ever."""

    market_data: timedelta | None = timedelta(days=30)
    metrics: timedelta | None = timedelta(days=90)
    errors: timedelta | None = timedelta(days=90)

    def __post_init__(self) -> None:
        """Refuse with a TypeError or ValueError what is no length of time."""
        for table, age in msgspec.structs.asdict(self).items():
            message = f"{table} is a timedelta from nought, or None, not {age!r}"
            if not isinstance(age, timedelta | None):
                raise TypeError(message)
            if age is not None and age < timedelta():
                raise ValueError(message)


class DataPersistence:
    """
    Keep market data, metrics and errors in an SQLite file, for debugging and analysis.

    The tables are `market_data`, `metrics` and `errors`; times are text in UTC that sorts by time
    (`2026-11-23T14:30:00.000000Z`), data is JSON, in which a number that is not finite is null.
    Every method is thread-safe, and several processes may use one file. Each call is a transaction
    of its own; `batch` makes one of many. Rows that were saved longer ago than their `retention` go
    when the file is opened and once an hour. What a method can't take is a TypeError or ValueError.
    """

    def __init__(
        self, path: str | Path = "data_pipeline.db", *, retention: Retention | None = None
    ) -> None:
        """Open the file, and make it with its folder when it is not there; StoreError if not."""
        self.path = Path(path)
        self.retention = retention or Retention()
        self._lock = threading.Lock()
        self._batches = RowBatches(self._write)
        self._pruned_s = 0.0
        self._connection = _opened(self.path)
        self.prune()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file; does nothing when that is done."""
        with self._lock:
            self._connection.close()

    def batch(self) -> AbstractContextManager[None]:
        """
        Write all that this task, or this thread outside of tasks, saves inside when it ends well.

        It is one transaction, and until then held in memory, at most 128 MiB: StoreError for more.
        What is read inside is without it. When something raises, nothing of it is kept; a batch
        inside another is part of that one, and takes back only itself.
        """
        return self._batches.open()

    def save_market_data(
        self,
        symbol: str,
        timestamp: datetime,
        data_type: str,
        data: object,
        quality_score: float | DataQualityLevel | None = None,
    ) -> None:
        """
        Keep one record: a bar, a mapping, or whatever JSON can carry.

        Numbers and arrays of numpy are carried, too. TypeError or ValueError when it can't;
        StoreError when the disk is full or the file is closed.
        """
        self.save_many([Record(symbol, timestamp, data_type, data, quality_score)])

    def save_many(self, records: Iterable[Record]) -> None:
        """Keep many records in one transaction, all of them or none; errors as for one."""
        rows = [
            (
                to_text("symbol", symbol),
                to_timestamp("timestamp", timestamp),
                to_text("data_type", data_type),
                to_json(data),
                to_score(score),
            )
            for symbol, timestamp, data_type, data, score in records
        ]
        self._batches.save("market_data", rows)

    def save_metrics(self, metrics: DataMetrics | Mapping[str, object]) -> None:
        """Keep figures as they are now: a `DataMetrics`, or what `engine.get_metrics()` returns."""
        data = metrics.to_dict() if isinstance(metrics, DataMetrics) else metrics
        self._batches.save("metrics", [(timestamp_ago(timedelta()), to_json(data))])

    def save_error(
        self, error_type: str, message: str | BaseException, symbol: str | None = None
    ) -> None:
        """Keep an error that happened now; an exception without a message by its name."""
        row = (
            timestamp_ago(timedelta()),
            to_text("error_type", error_type),
            error_message(message),
            None if symbol is None else to_text("symbol", symbol),
        )
        self._batches.save("errors", [row])

    def get_recent_data(
        self, symbol: str, hours: float = 24, *, data_type: str | None = None
    ) -> list[dict[str, Any]]:
        """
        Return a symbol's records of the last hours, oldest first, `data` read from JSON.

        Hours count back from now to the record's own time; `math.inf` asks for all.
        """
        return self._recent("market_data", hours, symbol=symbol, data_type=data_type)

    def get_metrics_history(self, hours: float = 24) -> list[dict[str, Any]]:
        """Return the figures that were saved in the last hours, oldest first."""
        return self._recent("metrics", hours)

    def get_errors(
        self, hours: float = 24, *, symbol: str | None = None, error_type: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the errors of the last hours, oldest first."""
        return self._recent("errors", hours, symbol=symbol, error_type=error_type)

    def prune(self) -> int:
        """Remove what was saved longer ago than its retention; return how many rows that were."""
        gone = 0
        with self._transaction():
            for table, age in msgspec.structs.asdict(self.retention).items():
                if age is None:
                    continue
                self._connection.execute(
                    f"DELETE FROM {table} WHERE {SAVED[table]} < ?",  # noqa: S608 - our own names
                    (timestamp_ago(age),),
                )
                gone += self._connection.changes()
            self._pruned_s = time.monotonic()
        return gone

    def _write(self, tables: Rows) -> None:
        if time.monotonic() - self._pruned_s > PRUNE_S:
            self.prune()
        with self._transaction():
            for table, rows in tables.items():
                columns = COLUMNS[table]
                places = ", ".join("?" * len(columns))
                self._connection.executemany(
                    f"INSERT INTO {table}({', '.join(columns)}) VALUES({places})",
                    rows,
                )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, _told(self.path), _writing(self._connection):
            yield

    def _recent(self, table: str, hours: float, **equal: str | None) -> list[dict[str, Any]]:
        wanted = {name: to_text(name, value) for name, value in equal.items() if value is not None}
        columns = COLUMNS[table]
        where = " AND ".join(["timestamp >= ?", *(f"{name} = ?" for name in wanted)])
        since = timestamp_hours_ago(hours)
        with self._lock, _told(self.path):
            rows = self._connection.execute(
                f"SELECT {', '.join(columns)} FROM {table}"  # noqa: S608 - our own names
                f" WHERE {where} ORDER BY timestamp, id",
                (since, *wanted.values()),
            ).fetchall()
        return [_read(dict(zip(columns, row, strict=True))) for row in rows]


def _opened(path: Path) -> apsw.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = apsw.Connection(str(path))
        _write_ahead(connection)
        connection.set_busy_timeout(BUSY_MS)
        connection.execute("PRAGMA synchronous=NORMAL")
        # Two processes may open a new file at once: who comes second sees what the first has done.
        with _writing(connection):
            _migrate(connection, path)
    except (apsw.Error, OSError) as error:
        message = f"{path} can't be opened: {error}; name another file, or mend its rights"
        raise StoreError(message) from error
    return connection


def _write_ahead(connection: apsw.Connection) -> None:
    """Turn on the write-ahead log; two who wait inside of SQLite for that wait for each other."""
    until = time.monotonic() + BUSY_MS / 1_000
    while True:
        try:
            connection.pragma("journal_mode", "wal")
        except apsw.BusyError:
            if time.monotonic() > until:
                raise
            time.sleep(RETRY_S)
        else:
            return


@contextmanager
def _writing(connection: apsw.Connection) -> Iterator[None]:
    """Be a transaction; waiting for it lets other threads run, which `with connection` does not."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _migrate(connection: apsw.Connection, path: Path) -> None:
    version = connection.pragma("user_version")
    if version > len(MIGRATIONS):
        message = f"{path} comes from a newer version of Lean-Lite: upgrade, or name another file"
        raise StoreError(message)
    for number, sql in enumerate(MIGRATIONS[version:], version + 1):
        connection.execute(sql)
        connection.pragma("user_version", number)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except apsw.ConnectionClosedError as error:
        message = f"{path} is closed: open it again with DataPersistence({str(path)!r})"
        raise StoreError(message) from error
    except apsw.BusyError as error:
        message = f"{path} is being written by another program for {BUSY_MS / 1_000:g} s: {error}"
        raise StoreError(message) from error
    except apsw.Error as error:
        message = f"{path} can't be used: {error}; look at the disk's space and the file's rights"
        raise StoreError(message) from error


def _read(row: dict[str, Any]) -> dict[str, Any]:
    row["timestamp"] = datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC)
    if "data" in row:
        row["data"] = msgspec.json.decode(row["data"])
    return row
