"""Read what the processes of a stack have logged."""

import asyncio
import sys
from pathlib import Path

from lean_lite.config import Config
from lean_lite.errors import StackError
from lean_lite.stack import default_folder, find_stack, mode_of
from lean_lite.stack.launch import LOG

READ_BYTES = 1024**2
LOOK_S = 0.2


class LogFile:
    """Read a growing file from its end; a file that was set aside is begun anew."""

    def __init__(self, path: Path) -> None:
        """Read nothing before `last` or `new`."""
        self.path = path
        self._read = 0

    def last(self, count: int) -> list[str]:
        """Return the last lines, from the last megabyte at most."""
        self._read = max(self.path.stat().st_size - READ_BYTES, 0)
        lines = self.new()
        return lines[-count:] if count else []

    def new(self) -> list[str]:
        """Return the whole lines that have come since."""
        with self.path.open("rb") as file:
            if file.seek(0, 2) < self._read:
                self._read = 0
            file.seek(self._read)
            whole, _, _ = file.read(READ_BYTES).rpartition(b"\n")
        self._read += len(whole) + bool(whole)
        return whole.decode(errors="replace").splitlines()


async def logs(config: Config, name: str | None, *, lines: int, follow: bool) -> int:
    """Print the last lines of one log or of all, and what comes until Ctrl-C."""
    files = _files(config, name)
    for each in files:
        _print(each, each.last(lines), named=name is None)
    while follow:
        await asyncio.sleep(LOOK_S)
        for each in files:
            _print(each, each.new(), named=name is None)
    return 0


def _files(config: Config, name: str | None) -> list[LogFile]:
    running = find_stack(config)
    folder = Path(running["folder"]) if running else default_folder(config, mode_of(config))
    paths = {path.stem: path for path in [folder / LOG, *sorted((folder / "logs").glob("*.log"))]}
    there = {stem: path for stem, path in paths.items() if path.exists()}
    if not there:
        raise StackError(f"there are no logs in {folder}: `lean-lite up` starts a stack")
    if name is not None and name not in there:
        raise StackError(f"there is no log of {name!r}; there are {', '.join(there)}")
    return [LogFile(path) for stem, path in there.items() if name in {None, stem}]


def _print(file: LogFile, lines: list[str], *, named: bool) -> None:
    for line in lines:
        sys.stdout.write(f"{file.path.stem:<10} {line}\n" if named else f"{line}\n")
    sys.stdout.flush()
