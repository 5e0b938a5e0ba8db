"""Whether a process that was written down still runs: its number alone may have gone to another."""

import os
from pathlib import Path

PROC = Path("/proc")
STATE, STARTED = 0, 19


def start_time(pid: int) -> int:
    """Return when a process has started, in ticks of the kernel; 0 where nobody tells."""
    fields = _status(pid)
    return int(fields[STARTED]) if fields else 0


def is_same_process(pid: int, started_at: int) -> bool:
    """Say whether the process that started then still runs."""
    if (PROC / "self" / "stat").exists():
        fields = _status(pid)
        return bool(fields) and fields[STATE] not in "ZX" and int(fields[STARTED]) == started_at
    return _answers(pid)


def _answers(pid: int) -> bool:
    # On Windows there is no embedded stack, and this call would end the process.
    if os.name == "nt":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _status(pid: int) -> list[str]:
    """Return what Linux says of a process behind its name, which may hold any character."""
    try:
        text = (PROC / str(pid) / "stat").read_text("utf-8", "replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()
