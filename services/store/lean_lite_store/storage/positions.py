"""Stored positions: one sequence per subject, and the streams they belong to."""

from collections.abc import Mapping

import apsw

from lean_lite.protocol.partitions import Lane
from lean_lite.protocol.subjects import STREAMS, stream_of
from lean_lite_store.storage.database import transaction


def read_positions(connection: apsw.Connection) -> dict[str, int]:
    """Return the sequence of the last stored frame of each subject."""
    return dict(connection.execute("SELECT subject, seq FROM position"))


def read_raw_seqs(connection: apsw.Connection, stream: str) -> dict[str, int]:
    """Return the sequence of the raw frame that the last stored frame of each lane grades."""
    rows = connection.execute("SELECT subject, raw_seq FROM position")
    return {
        str(Lane.from_subject(subject)): raw_seq
        for subject, raw_seq in rows
        if stream_of(subject) == stream
    }


def write_positions(
    connection: apsw.Connection, positions: Mapping[str, int], raw_seqs: Mapping[str, int]
) -> None:
    """Write new sequences, inside the transaction that stores their frames."""
    connection.executemany(
        "INSERT OR REPLACE INTO position VALUES(?, ?, ?)",
        [(subject, seq, raw_seqs.get(subject, 0)) for subject, seq in positions.items()],
    )


def read_stream(connection: apsw.Connection, stream: str) -> int | None:
    """Return when the stream of the positions was created, in ns; None if none was read yet."""
    row = connection.execute("SELECT created_ns FROM stream WHERE name = ?", (stream,)).fetchone()
    return row[0] if row else None


def start_stream(connection: apsw.Connection, stream: str, created_ns: int) -> None:
    """Remove the positions of a stream and note the new one; the bars stay."""
    subjects = STREAMS[stream].replace(">", "*")
    with transaction(connection):
        connection.execute("DELETE FROM position WHERE subject GLOB ?", (subjects,))
        connection.execute("INSERT OR REPLACE INTO stream VALUES(?, ?)", (stream, created_ns))
