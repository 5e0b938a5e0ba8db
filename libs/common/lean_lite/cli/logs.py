"""The verb `logs`: print and follow the logs of a stack's processes."""

import asyncio
import sys
from pathlib import Path

from lean_lite.config import Config
from lean_lite.errors import StackError
from lean_lite.stack import MODES, default_folder, find_stack, mode_of
from lean_lite.stack.shared.launcher import LOG

READ_BYTES = 1024**2
CHECK_S = 0.2


class LogFile:
    """
    A growing log file, read from its end.

    When it has become smaller, another one has replaced it and is read from its start.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0

    def read_last(self, count: int) -> list[str]:
        """Return the last lines, at most those of the last megabyte."""
        self._offset = max(self.path.stat().st_size - READ_BYTES, 0)
        lines = self.read_new()
        return lines[-count:] if count else []

    def read_new(self) -> list[str]:
        """Return the complete lines written since the last call."""
        with self.path.open("rb") as file:
            if file.seek(0, 2) < self._offset:
                self._offset = 0
            file.seek(self._offset)
            complete, _, _ = file.read(READ_BYTES).rpartition(b"\n")
        self._offset += len(complete) + bool(complete)
        return complete.decode(errors="replace").splitlines()


async def logs(config: Config, name: str | None, *, lines: int, follow: bool) -> int:
    """Print the last lines of one log or of all; with `follow` also new ones, until Ctrl-C."""
    folder, *others = _folders(config)
    if others:
        more = ", ".join(map(str, others))
        sys.stderr.write(f"logs of {folder}; there are more in {more}\n")
    files = _files(folder, name)
    for file in files:
        _print(file, file.read_last(lines), named=name is None)
    while follow:
        await asyncio.sleep(CHECK_S)
        for file in files:
            _print(file, file.read_new(), named=name is None)
    return 0


def _folders(config: Config) -> list[Path]:
    """Return the folder of the running stack, or else all with logs, the selected mode first."""
    running = find_stack(config)
    if running:
        return [Path(running["folder"])]
    modes = dict.fromkeys([mode_of(config), *MODES])
    folders = [default_folder(config, mode) for mode in modes]
    found = [folder for folder in folders if _logs_in(folder)]
    if not found:
        searched = " or ".join(map(str, folders))
        raise StackError(f"there are no logs in {searched}: start a stack with `lean-lite up`")
    if found[0] != folders[0]:
        sys.stderr.write(f"there are no logs in {folders[0]}; logs of {found[0]}\n")
    return found


def _files(folder: Path, name: str | None) -> list[LogFile]:
    paths = _logs_in(folder)
    if name is not None and name not in paths:
        names = ", ".join(paths)
        raise StackError(f"there is no log of {name!r} in {folder}: expected one of {names}")
    return [LogFile(path) for stem, path in paths.items() if name in {None, stem}]


def _logs_in(folder: Path) -> dict[str, Path]:
    paths = [folder / LOG, *sorted((folder / "logs").glob("*.log"))]
    return {path.stem: path for path in paths if path.exists()}


def _print(file: LogFile, lines: list[str], *, named: bool) -> None:
    for line in lines:
        sys.stdout.write(f"{file.path.stem:<10} {line}\n" if named else f"{line}\n")
    sys.stdout.flush()
