"""DataPersistence: record market data, metrics and errors of a strategy, query and prune them."""

import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple, Self

import msgspec

from lean_lite.data.metrics import DataMetrics
from lean_lite.data.persistence.batches import RowBatches, Rows
from lean_lite.data.persistence.database import Database
from lean_lite.data.persistence.values import (
    decode_row,
    error_message,
    timestamp_ago,
    timestamp_hours_ago,
    to_json,
    to_score,
    to_text,
    to_timestamp,
)
from lean_lite.model import DataQualityLevel

PRUNE_EVERY_S = 3_600.0
COLUMNS = MappingProxyType(
    {
        "market_data": ("symbol", "timestamp", "data_type", "data", "quality_score"),
        "metrics": ("timestamp", "data"),
        "errors": ("timestamp", "error_type", "message", "symbol"),
    }
)
# The column that a row's age counts from.
SAVED_AT = MappingProxyType(
    {"market_data": "saved_at", "metrics": "timestamp", "errors": "timestamp"}
)


class Record(NamedTuple):
    """
    One record of `save_many`.

    Args:
        symbol: symbol of the record.
        timestamp: time of the record; a naive one is local time.
        data_type: any name, such as "trade" or "signal".
        data: anything that JSON can hold; see `DataPersistence.save_market_data`.
        quality_score: number or grade; None if not graded.
    """

    symbol: str
    timestamp: datetime
    data_type: str
    data: object
    quality_score: float | DataQualityLevel | None = None


class Retention(msgspec.Struct, frozen=True):
    """
    How long the rows of each table are stored, counted from when they were saved.

    Args:
        market_data: age at which market data is deleted; None stores it forever.
        metrics: the same for metrics.
        errors: the same for errors.

    Raises:
        TypeError: an age is neither a timedelta nor None.
        ValueError: an age is negative.
    """

    market_data: timedelta | None = timedelta(days=30)
    metrics: timedelta | None = timedelta(days=90)
    errors: timedelta | None = timedelta(days=90)

    def __post_init__(self) -> None:
        """Check the ages."""
        for table, age in msgspec.structs.asdict(self).items():
            message = f"{table} must be a timedelta of 0 or more, or None, not {age!r}"
            if not isinstance(age, timedelta | None):
                raise TypeError(message)
            if age is not None and age < timedelta():
                raise ValueError(message)


class DataPersistence:
    """
    SQLite file of market data, metrics and errors, for debugging and analysis.

    The tables are `market_data`, `metrics` and `errors`. Times are UTC text that sorts by time
    (`2026-11-23T14:30:00.000000Z`); data is JSON, in which a number that is not finite is null.
    Each call is a transaction of its own; `batch` makes one of many. Rows older than their
    `retention` are deleted when the file is opened and once an hour. Thread-safe, and several
    processes may use one file.

    Args:
        path: the file; it and its folder are created if missing.
        retention: how long rows are stored; 30 days of market data and 90 days of metrics and
            errors by default.

    Raises:
        ImportError: apsw is missing (`lean-lite[persistence]`).
        StoreError: the file can't be opened, is not a database, or is of a newer version.
    """

    def __init__(
        self, path: str | Path = "data_pipeline.db", *, retention: Retention | None = None
    ) -> None:
        self.path = Path(path)
        self.retention = retention or Retention()
        self._batches = RowBatches(self._insert)
        self._pruned_s = 0.0
        self._database = Database(self.path)
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
        """Close the file; idempotent."""
        self._database.close()

    def batch(self) -> AbstractContextManager[None]:
        """
        Write everything saved inside as one transaction when the block ends without an error.

        A batch belongs to the task that opened it, or to the thread outside of tasks: what other
        tasks and threads save is not part of it. Its rows are held in memory until the block ends,
        at most 128 MiB, and are not visible to queries. A batch inside another one is written with
        it, and discards only its own rows on an error.

        Returns:
            A context manager.

        Raises:
            StoreError: on a save beyond 128 MiB, or when the block ends and the file can't be
                written.
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
        Save one record.

        Args:
            symbol: symbol of the record.
            timestamp: time of the record; a naive one is local time.
            data_type: any name, such as "trade" or "signal".
            data: a bar, a mapping, or anything else that JSON can hold, with numpy's numbers and
                arrays and pandas' times and series in it.
            quality_score: number or grade; None, or a number that is not finite, is null.

        Raises:
            TypeError: an argument has the wrong type, or JSON can't hold the data.
            ValueError: an argument is out of range, or not Unicode.
            StoreError: the disk is full, the file is locked or closed.
        """
        self.save_many([Record(symbol, timestamp, data_type, data, quality_score)])

    def save_many(self, records: Iterable[Record]) -> None:
        """
        Save records in one transaction, all or none.

        Args:
            records: `Record`s, or tuples of the same five values.

        Raises:
            TypeError: an argument has the wrong type, or JSON can't hold the data.
            ValueError: an argument is out of range, or not Unicode.
            StoreError: the disk is full, the file is locked or closed.
        """
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
        """
        Save metrics with the current time.

        Args:
            metrics: a `DataMetrics`, or a mapping such as `engine.get_metrics()` returns.

        Raises:
            TypeError: JSON can't hold the metrics.
            ValueError: a text in them is not Unicode.
            StoreError: the disk is full, the file is locked or closed.
        """
        data = metrics.to_dict() if isinstance(metrics, DataMetrics) else metrics
        self._batches.save("metrics", [(timestamp_ago(timedelta()), to_json(data))])

    def save_error(
        self, error_type: str, message: str | BaseException, symbol: str | None = None
    ) -> None:
        """
        Save an error with the current time.

        Args:
            error_type: any name, such as "connection_error".
            message: text or exception; an exception without a text is saved as its repr.
            symbol: symbol that the error is about, if any.

        Raises:
            TypeError: `error_type` or `symbol` is not text.
            ValueError: `error_type` or `symbol` is not Unicode.
            StoreError: the disk is full, the file is locked or closed.
        """
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
        Return the records of a symbol whose own time lies in the last hours.

        Args:
            symbol: symbol of the records.
            hours: hours back from now, 0 or more; `math.inf` returns all.
            data_type: only records of this type.

        Returns:
            One dict per record, oldest first: `symbol`, `timestamp` (UTC), `data_type`, `data`
            (decoded from JSON) and `quality_score`.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: `hours` is negative or NaN, or a text is not Unicode.
            StoreError: the file can't be read, or is closed.
        """
        return self._recent("market_data", hours, symbol=symbol, data_type=data_type)

    def get_metrics_history(self, hours: float = 24) -> list[dict[str, Any]]:
        """
        Return the metrics saved in the last hours.

        Args:
            hours: hours back from now, 0 or more; `math.inf` returns all.

        Returns:
            One dict per `save_metrics`, oldest first: `timestamp` (UTC) and `data`.

        Raises:
            TypeError: `hours` is not a number.
            ValueError: `hours` is negative or NaN.
            StoreError: the file can't be read, or is closed.
        """
        return self._recent("metrics", hours)

    def get_errors(
        self, hours: float = 24, *, symbol: str | None = None, error_type: str | None = None
    ) -> list[dict[str, Any]]:
        """
        Return the errors saved in the last hours.

        Args:
            hours: hours back from now, 0 or more; `math.inf` returns all.
            symbol: only errors about this symbol.
            error_type: only errors of this type.

        Returns:
            One dict per error, oldest first: `timestamp` (UTC), `error_type`, `message` and
            `symbol`.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: `hours` is negative or NaN, or a text is not Unicode.
            StoreError: the file can't be read, or is closed.
        """
        return self._recent("errors", hours, symbol=symbol, error_type=error_type)

    def prune(self) -> int:
        """
        Delete the rows that were saved longer ago than their retention.

        Returns:
            The number of deleted rows.

        Raises:
            StoreError: the disk is full, the file is locked or closed.
        """
        deleted = 0
        with self._database.transaction() as connection:
            for table, age in msgspec.structs.asdict(self.retention).items():
                if age is None:
                    continue
                connection.execute(
                    f"DELETE FROM {table} WHERE {SAVED_AT[table]} < ?",  # noqa: S608 - our own names
                    (timestamp_ago(age),),
                )
                deleted += connection.changes()
            self._pruned_s = time.monotonic()
        return deleted

    def _insert(self, rows_by_table: Rows) -> None:
        if time.monotonic() - self._pruned_s > PRUNE_EVERY_S:
            self.prune()
        with self._database.transaction() as connection:
            for table, rows in rows_by_table.items():
                columns = COLUMNS[table]
                placeholders = ", ".join("?" * len(columns))
                connection.executemany(
                    f"INSERT INTO {table}({', '.join(columns)}) VALUES({placeholders})",
                    rows,
                )

    def _recent(self, table: str, hours: float, **equal: str | None) -> list[dict[str, Any]]:
        filters = {name: to_text(name, value) for name, value in equal.items() if value is not None}
        columns = COLUMNS[table]
        where = " AND ".join(["timestamp >= ?", *(f"{name} = ?" for name in filters)])
        rows = self._database.fetch_all(
            f"SELECT {', '.join(columns)} FROM {table}"  # noqa: S608 - our own names
            f" WHERE {where} ORDER BY timestamp, id",
            (timestamp_hours_ago(hours), *filters.values()),
        )
        return [decode_row(dict(zip(columns, row, strict=True))) for row in rows]
