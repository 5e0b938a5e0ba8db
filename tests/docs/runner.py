"""Run programs of the documentation as a reader would."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.harness.paths import ROOT

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
END_S = 60.0
IGNORED = (
    "ignore:datetime.datetime.utcnow:DeprecationWarning",  # of nats.micro
    "ignore:The configuration option",  # of pytest-asyncio, where a reader has no pytest.ini
)


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of one language of a page."""
    text = (ROOT / page).read_text("utf-8")
    return [body for found, body in BLOCK.findall(text) if found == language]


def environment_of(folder: Path) -> dict[str, str]:
    """Return the environment of a reader without keys, whose stacks are in a folder."""
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("APCA_", "LEAN_LITE_", "PYTEST_"))
    }
    return kept | settings_of(folder) | {"PYTHONUNBUFFERED": "1"}


def settings_of(folder: Path) -> dict[str, str]:
    """Return the variables that put stacks on the simulator into a folder."""
    return {
        "LEAN_LITE_FEED": "simulator",
        "LEAN_LITE_STACK__FOLDER": str(folder),
        "LEAN_LITE_STACK__LINGER_S": "0.5",
    }


def run(source: str, folder: Path, *, limit_s: float = 120.0) -> str:
    """Run a program to its end, and return its output."""
    script = folder / "program.py"
    script.write_text(source, "utf-8")
    result = subprocess.run(
        [sys.executable, str(script)],
        env=environment_of(folder),
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def python(arguments: list[str], home: Path, folder: Path, *, limit_s: float = 120.0) -> str:
    """Run Python in a folder on the stack of a home, with warnings as errors; return its output."""
    warnings = [f"-W{choice}" for choice in ("error", *IGNORED)]
    result = subprocess.run(
        [sys.executable, *warnings, *arguments],
        env=environment_of(home)
        | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder), "XDG_CACHE_HOME": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@contextmanager
def running_stack(folder: Path) -> Iterator[Path]:
    """Run one stack on the simulator, in a folder, for all programs that use the folder."""
    command = [sys.executable, "-m", "lean_lite.cli"]
    environment = environment_of(folder)
    subprocess.run([*command, "up"], env=environment, check=True, timeout=60)
    try:
        yield folder
    finally:
        subprocess.run([*command, "down"], env=environment, check=True, timeout=60)
        await_end(folder)


def await_end(folder: Path) -> None:
    """Wait until every stack of a folder has stopped."""
    deadline = time.monotonic() + END_S
    while any(folder.rglob("stack.json")):
        assert time.monotonic() < deadline, f"a stack still runs in {folder} after {END_S:g} s"
        time.sleep(0.1)
