"""A replica of a store that can be held back."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw


@contextmanager
def held_back(file: Path) -> Iterator[None]:
    """Keep the store of a file from storing anything; it answers with what it has."""
    connection = apsw.Connection(str(file))
    connection.set_busy_timeout(20_000)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()
