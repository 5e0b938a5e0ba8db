"""The log file of a child process, and the lines of the supervisor's own."""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

# What every record has; the rest was given as `extra`.
USUAL = logging.makeLogRecord({}).__dict__.keys() | {"message", "taskName"}
LIMIT_BYTES = 8 * 1024**2
READ_BYTES = 64 * 1024
SILENT = "it has said nothing"


class ChildLog:
    """
    Keep what a child writes in one file, appended over restarts.

    A file above `LIMIT_BYTES` is set aside as `.1` when the child starts again.
    """

    def __init__(self, path: Path) -> None:
        """Open nothing before `open`."""
        self.path = path
        self._begin = 0

    def open(self) -> BinaryIO:
        """Return the file for the next start of the child; what is said counts from here."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.path.exists() and self.path.stat().st_size > LIMIT_BYTES:
            self.path.replace(self.path.with_name(f"{self.path.name}.1"))
        file = self.path.open("ab")
        self._begin = file.tell()
        return file

    def lines(self) -> list[str]:
        """Return the lines since the last start; only the end of them when there are many."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            end = file.seek(0, 2)
            file.seek(max(self._begin, end - READ_BYTES))
            return file.read().decode(errors="replace").splitlines()

    def last_error(self) -> str:
        """Return the last line, or the error in it when it is one of our JSON lines."""
        line = next((line for line in reversed(self.lines()) if line.strip()), SILENT)
        try:
            event = json.loads(line)
        except ValueError:
            return line
        return str(event.get("error", line)) if isinstance(event, dict) else line


class LineFormatter(logging.Formatter):
    """Make one JSON object per line, as the services do."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the event, what was given with it, and the trace of an error."""
        line: dict[str, object] = {
            "event": record.getMessage(),
            **{key: value for key, value in vars(record).items() if key not in USUAL},
            "level": record.levelname.lower(),
            "logger": record.name,
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
