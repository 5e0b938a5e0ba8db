"""ChildLog: the log file of a child process."""

import json
from pathlib import Path
from typing import BinaryIO

MAX_BYTES = 8 * 1024**2
# Enough for the error of a start, even after a long traceback.
TAIL_BYTES = 64 * 1024
NO_OUTPUT = "it has written nothing"


class ChildLog:
    """
    Output of a child process in one file, appended over restarts.

    A file above `max_bytes` is renamed to `.1` when the child starts again, so a child that fails
    in a loop can't fill the disk.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._start_offset = 0

    def open(self) -> BinaryIO:
        """Open the file for the next start; `lines` counts from here."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.path.exists() and self.path.stat().st_size > self._max_bytes:
            self.path.replace(self.path.with_name(f"{self.path.name}.1"))
        file = self.path.open("ab")
        self._start_offset = file.tell()
        return file

    def lines(self) -> list[str]:
        """Return the lines since the last start, at most the last `TAIL_BYTES`."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            end = file.seek(0, 2)
            file.seek(max(self._start_offset, end - TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()

    def last_error(self) -> str:
        """Return the last line, or its field `error` if it is a JSON line of ours."""
        line = next((line for line in reversed(self.lines()) if line.strip()), NO_OUTPUT)
        try:
            event = json.loads(line)
        except ValueError:
            return line
        return str(event.get("error", line)) if isinstance(event, dict) else line


def child_log(folder: Path, name: str) -> ChildLog:
    """Return the log of a child by its name, in the folder of a stack."""
    return ChildLog(folder / "logs" / f"{name}.log")
