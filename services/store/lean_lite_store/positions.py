"""How far a store file has read: one sequence per subject, and which stream they belong to."""

from collections.abc import Mapping

import apsw

from lean_lite.subjects import GRADED
from lean_lite_store.database import transaction


def read_positions(connection: apsw.Connection) -> dict[str, int]:
    """Return the sequence of the last stored frame of each subject."""
    return dict(connection.execute("SELECT subject, seq FROM position"))


def write_positions(connection: apsw.Connection, positions: Mapping[str, int]) -> None:
    """Note new sequences, inside of the transaction that stores their frames."""
    connection.executemany(
        "INSERT INTO position VALUES(?, ?) ON CONFLICT(subject) DO UPDATE SET seq = excluded.seq",
        positions.items(),
    )


def read_stream(connection: apsw.Connection) -> int | None:
    """Return when the stream of the positions was created, ns; None for a new file."""
    row = connection.execute("SELECT created_ns FROM stream WHERE name = ?", (GRADED,)).fetchone()
    return row[0] if row else None


def start_stream(connection: apsw.Connection, created_ns: int) -> None:
    """Forget all positions and begin a stream; the bars stay."""
    with transaction(connection):
        connection.execute("DELETE FROM position")
        connection.execute("INSERT OR REPLACE INTO stream VALUES(?, ?)", (GRADED, created_ns))
