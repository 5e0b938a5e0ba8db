"""The parent's side of a benchmark: a process that takes turns when it is told to."""

import json
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.shared.errors import BenchmarkError
from tests.harness.paths import ROOT

TURN_S = 120.0
END_S = 10.0
LAST_WORDS = 2_000


class Child:
    """Ask one process for turns, one after the other."""

    def __init__(self, name: str, process: "subprocess.Popen[str]", errors: Path) -> None:
        self._name = name
        self._process = process
        self._errors = errors

    def turn(self, name: str, **wanted: Any) -> dict[str, Any]:
        """Return what it says of this turn; BenchmarkError when it fails or takes too long."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        overdue = threading.Timer(TURN_S, self._process.kill)
        overdue.start()
        try:
            self._process.stdin.write(json.dumps({"turn": name, **wanted}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            overdue.cancel()
        if not line:
            said = self._errors.read_text("utf-8", errors="replace")[-LAST_WORDS:].strip()
            message = f"{self._name} failed at {name!r}, or took more than {TURN_S:g} s:\n{said}"
            raise BenchmarkError(message)
        told: dict[str, Any] = json.loads(line)
        return told


@contextmanager
def child(python: str | Path, module: str, *arguments: str) -> Iterator[Child]:
    """Run a module of ours with an interpreter; it ends with its input."""
    with tempfile.TemporaryDirectory() as folder:
        errors = Path(folder) / "stderr"
        with errors.open("wb") as stderr:
            process = subprocess.Popen(
                [python, "-m", module, *arguments],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        try:
            yield Child(module, process, errors)
        finally:
            _end(process)


def _end(process: "subprocess.Popen[str]") -> None:
    try:
        process.communicate(timeout=END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
