"""
Identity of a process: its pid, and when it started, because the kernel reuses pids.

Another process compares what one has written to disk, hours later. Linux counts the start in ticks
since boot, which never change. psutil is not used: its public `create_time()` is a wall time that
moves when the clock is set (issues 2526 and 2541 of its repository), so after a step of NTP every
user of a stack would treat its owner as dead; the start since boot is private there. On macOS
psutil corrects by the steps that the *reading* process has seen, so two readers may differ as well.
"""

import os
from pathlib import Path

PROC = Path("/proc")
# Positions in /proc/PID/stat after the name, which is in parentheses and may hold any character.
STATE, START_TICKS = 0, 19


def start_time(pid: int) -> int:
    """Return when a process started, in ticks since boot; 0 if unknown."""
    fields = _stat(pid)
    return int(fields[START_TICKS]) if fields else 0


def is_same_process(pid: int, started_at: int) -> bool:
    """Return whether the process that started at `started_at` still runs; a zombie does not."""
    if (PROC / "self" / "stat").exists():
        fields = _stat(pid)
        return bool(fields) and fields[STATE] not in "ZX" and int(fields[START_TICKS]) == started_at
    return _exists(pid)


def _exists(pid: int) -> bool:
    # On Windows there is no embedded stack, and signal 0 would end the process.
    if os.name == "nt":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _stat(pid: int) -> list[str]:
    try:
        text = (PROC / str(pid) / "stat").read_text("utf-8", "replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()
