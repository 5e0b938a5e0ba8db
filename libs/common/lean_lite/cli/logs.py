"""Read what the processes of a stack have logged."""

import asyncio
import sys
from pathlib import Path

from lean_lite.config import Config
from lean_lite.errors import StackError
from lean_lite.stack import MODES, default_folder, find_stack, mode_of
from lean_lite.stack.shared.launcher import LOG

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
    folder, *others = _folders(config)
    if others:
        others_named = ", ".join(map(str, others))
        sys.stderr.write(f"these are the logs of {folder}; there are others in {others_named}\n")
    files = _files(folder, name)
    for each in files:
        _print(each, each.last(lines), named=name is None)
    while follow:
        await asyncio.sleep(LOOK_S)
        for each in files:
            _print(each, each.new(), named=name is None)
    return 0


def _folders(config: Config) -> list[Path]:
    """Return the folder of the stack that runs, else all that have logs, ours first."""
    running = find_stack(config)
    if running:
        return [Path(running["folder"])]
    modes = dict.fromkeys([mode_of(config), *MODES])
    folders = [default_folder(config, mode) for mode in modes]
    found = [folder for folder in folders if _logs_in(folder)]
    if not found:
        places = " or ".join(map(str, folders))
        raise StackError(f"there are no logs in {places}: `lean-lite up` starts a stack")
    if found[0] != folders[0]:
        sys.stderr.write(f"there are no logs in {folders[0]}; these are those of {found[0]}\n")
    return found


def _files(folder: Path, name: str | None) -> list[LogFile]:
    there = _logs_in(folder)
    if name is not None and name not in there:
        raise StackError(f"there is no log of {name!r} in {folder}; there are {', '.join(there)}")
    return [LogFile(path) for stem, path in there.items() if name in {None, stem}]


def _logs_in(folder: Path) -> dict[str, Path]:
    paths = [folder / LOG, *sorted((folder / "logs").glob("*.log"))]
    return {path.stem: path for path in paths if path.exists()}


def _print(file: LogFile, lines: list[str], *, named: bool) -> None:
    for line in lines:
        sys.stdout.write(f"{file.path.stem:<10} {line}\n" if named else f"{line}\n")
    sys.stdout.flush()
