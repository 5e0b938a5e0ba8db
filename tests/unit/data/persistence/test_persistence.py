import math
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw
import pytest

from lean_lite.data import DataMetrics, DataPersistence
from lean_lite.data.persistence import Record, Retention
from lean_lite.data.persistence.database import MIGRATIONS
from lean_lite.errors import StoreError
from lean_lite.model import TradeBar

NOW = datetime.now(UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "pipeline.db"


def bar(close: float = 1.0) -> TradeBar:
    return TradeBar("AAPL", NOW, 1, 2, 0.5, close, 100)


def set_saved_at(path: Path, days_ago: int) -> None:
    # With apsw: two copies of SQLite in one process do not see each other's locks.
    with closing(apsw.Connection(str(path))) as connection:
        saved_at = (NOW - timedelta(days=days_ago)).isoformat()
        connection.execute("UPDATE market_data SET saved_at = ?", (saved_at,))


def test_a_saved_bar_is_returned_with_its_score(path: Path) -> None:
    with DataPersistence(path) as persistence:
        persistence.save_market_data("AAPL", NOW, "trade", bar(), quality_score=0.95)
        (row,) = persistence.get_recent_data("AAPL", hours=24)
    assert (row["symbol"], row["timestamp"], row["data_type"]) == ("AAPL", NOW, "trade")
    assert row["quality_score"] == 0.95
    assert (row["data"]["close"], row["data"]["resolution"]) == (1.0, "minute")


def test_queries_filter_and_sort_by_time(path: Path) -> None:
    persistence = DataPersistence(path)
    for hours in (30, 1, 3):
        persistence.save_market_data("AAPL", NOW - timedelta(hours=hours), "trade", {"at": hours})
    persistence.save_market_data("MSFT", NOW, "trade", {})
    persistence.save_market_data("AAPL", NOW, "quote", {"at": 0})
    assert [row["data"]["at"] for row in persistence.get_recent_data("AAPL")] == [3, 1, 0]
    assert len(persistence.get_recent_data("AAPL", data_type="quote")) == 1
    assert [row["data"]["at"] for row in persistence.get_recent_data("AAPL", 48)] == [30, 3, 1, 0]


def test_saved_metrics_and_errors_are_returned(path: Path) -> None:
    metrics = DataMetrics()
    metrics.increment_messages(7)
    with DataPersistence(path) as persistence:
        persistence.save_metrics(metrics)
        persistence.save_metrics({"engine": {"error_count": 1}})
        persistence.save_error("connection_error", "Failed to connect", "AAPL")
        persistence.save_error("callback", ValueError("no such thing"))
        first, second = persistence.get_metrics_history(hours=24)
        failed, raised = persistence.get_errors()
        assert persistence.get_errors(symbol="AAPL") == [failed]
        assert persistence.get_errors(error_type="callback") == [raised]
    assert first["data"]["total_messages"] == 7
    assert second["data"] == {"engine": {"error_count": 1}}
    assert (failed["message"], failed["symbol"]) == ("Failed to connect", "AAPL")
    assert (raised["message"], raised["symbol"]) == ("no such thing", None)


def test_prune_deletes_rows_older_than_the_retention(path: Path) -> None:
    retention = Retention(market_data=timedelta(days=1), errors=None)
    with DataPersistence(path, retention=retention) as persistence:
        persistence.save_market_data("AAPL", NOW, "trade", {"saved": "long ago"})
        set_saved_at(path, 2)
        persistence.save_market_data("AAPL", NOW, "trade", {"saved": "now"})
        assert persistence.prune() == 1
        (row,) = persistence.get_recent_data("AAPL")
        assert row["data"] == {"saved": "now"}


def test_opening_deletes_rows_older_than_the_retention(path: Path) -> None:
    with DataPersistence(path) as persistence:
        persistence.save_market_data("AAPL", NOW, "trade", {})
    set_saved_at(path, 31)
    with DataPersistence(path) as persistence:
        assert persistence.get_recent_data("AAPL", hours=10_000) == []


def test_an_old_bar_saved_now_is_not_pruned(path: Path) -> None:
    then = datetime(2018, 1, 2, 14, 30, tzinfo=UTC)
    with DataPersistence(path) as persistence:
        persistence.save_market_data("AAPL", then, "trade", bar())
    with DataPersistence(path) as persistence:
        assert persistence.prune() == 0
        (row,) = persistence.get_recent_data("AAPL", hours=math.inf)
    assert row["timestamp"] == then


def test_rows_of_the_first_schema_version_count_as_saved_now(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(MIGRATIONS[0] + "PRAGMA user_version=1")
        connection.execute(
            "INSERT INTO market_data VALUES"
            "(7, 'AAPL', '2018-01-02T14:30:00.000000Z', 'trade', '{\"close\":1.5}', 0.5)"
        )
    for _ in range(2):
        with DataPersistence(path) as persistence:
            persistence.save_market_data("AAPL", NOW, "trade", {})
            old = persistence.get_recent_data("AAPL", hours=math.inf)[0]
        assert (old["data"], old["quality_score"]) == ({"close": 1.5}, 0.5)
    with closing(sqlite3.connect(path)) as connection, connection:
        first, saved_at = connection.execute(
            "SELECT min(id), min(saved_at) FROM market_data"
        ).fetchone()
    assert first == 7
    assert abs(datetime.fromisoformat(saved_at) - datetime.now(UTC)) < timedelta(minutes=1)


def test_an_old_file_opened_by_many_threads_is_migrated_once(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(MIGRATIONS[0] + "PRAGMA user_version=1")
    with ThreadPoolExecutor(8) as threads:
        opened = list(threads.map(DataPersistence, [path] * 8))
    for number, persistence in enumerate(opened):
        persistence.save_market_data("AAPL", NOW, "trade", {"number": number})
    assert len(opened[0].get_recent_data("AAPL")) == 8


@pytest.mark.parametrize(
    ("age", "error"), [(30, TypeError), (timedelta(days=-1), ValueError), ("30 days", TypeError)]
)
def test_an_invalid_retention_is_refused(age: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="market_data must be a timedelta of 0 or more, or None, not"):
        Retention(market_data=age)  # type: ignore[arg-type]


def test_a_retention_beyond_the_range_of_datetime_deletes_nothing(path: Path) -> None:
    with DataPersistence(path, retention=Retention(market_data=timedelta.max)) as persistence:
        persistence.save_market_data("AAPL", NOW, "trade", {})
        assert persistence.prune() == 0


def test_a_failed_batch_writes_nothing(path: Path) -> None:
    persistence = DataPersistence(path)

    def fail() -> None:
        with persistence.batch():
            persistence.save_market_data("AAPL", NOW, "trade", {})
            persistence.save_error("test", "in the same transaction")
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert persistence.get_recent_data("AAPL") == persistence.get_errors() == []


def test_save_many_saves_nothing_if_one_record_is_invalid(path: Path) -> None:
    persistence = DataPersistence(path)
    with pytest.raises(TypeError, match=r"it contains a builtins\.object; use numbers"):
        persistence.save_many(
            [Record("AAPL", NOW, "trade", {}), Record("AAPL", NOW, "trade", object())]
        )
    assert persistence.get_recent_data("AAPL") == []


def test_concurrent_threads_lose_no_row(path: Path) -> None:
    persistence = DataPersistence(path)

    def save(number: int) -> None:
        for _ in range(50):
            with persistence.batch():
                persistence.save_market_data("AAPL", NOW, "trade", {"thread": number})
                persistence.save_error("thread", str(number))

    threads = [threading.Thread(target=save, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(persistence.get_recent_data("AAPL")) == len(persistence.get_errors()) == 200


def test_processes_that_create_the_same_file_lose_no_row(path: Path) -> None:
    code = (
        "import sys; from datetime import *; from lean_lite.data import DataPersistence\n"
        "p = DataPersistence(sys.argv[1])\n"
        "for _ in range(50): p.save_market_data('AAPL', datetime.now(UTC), 'trade', {})"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(3)]
    assert [process.wait(timeout=60) for process in running] == [0, 0, 0]
    assert len(DataPersistence(path).get_recent_data("AAPL")) == 150


def test_threads_that_create_the_same_file_all_open_it(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)

    def open_and_write(path: Path) -> int:
        barrier.wait()
        with DataPersistence(path) as persistence:
            for _ in range(10):
                persistence.save_market_data("AAPL", NOW, "trade", {})
            return len(persistence.get_recent_data("AAPL"))

    with ThreadPoolExecutor(8) as threads:
        for number in range(10):
            rows = list(threads.map(open_and_write, [tmp_path / f"{number}.db"] * 8))
            assert max(rows) == 80


def test_another_sqlite_library_reads_the_tables(path: Path) -> None:
    with DataPersistence(path) as persistence:
        persistence.save_market_data("AAPL", NOW, "trade", bar(2.5), quality_score=1.0)
    with closing(sqlite3.connect(path)) as connection:
        close, day = connection.execute(
            "SELECT json_extract(data, '$.close'), date(timestamp) FROM market_data"
        ).fetchone()
    assert (close, day) == (2.5, NOW.date().isoformat())


def test_a_file_of_a_newer_version_is_refused(path: Path) -> None:
    DataPersistence(path).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"PRAGMA user_version={len(MIGRATIONS) + 1}")
    with pytest.raises(StoreError, match="newer version"):
        DataPersistence(path)


def test_a_file_that_is_not_a_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to look like a file of some other kind" * 20)
    with pytest.raises(StoreError, match=r"notes\.txt can't be opened"):
        DataPersistence(path)


def test_a_file_locked_by_another_program_raises(path: Path) -> None:
    persistence = DataPersistence(path)
    persistence._database._connection.set_busy_timeout(1)
    with closing(apsw.Connection(str(path))) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="has been locked by another program"):
            persistence.save_error("late", "too late")
    persistence.save_error("late", "in time")
    assert len(persistence.get_errors()) == 1


def test_saving_to_a_closed_file_raises(path: Path) -> None:
    persistence = DataPersistence(path)
    persistence.close()
    persistence.close()
    with pytest.raises(StoreError, match="is closed"):
        persistence.save_error("late", "too late")
