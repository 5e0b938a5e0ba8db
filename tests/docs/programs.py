"""Programs of the documentation, taken out of it and run as a reader would run them."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
END_S = 60.0


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of one language of a page."""
    text = (ROOT / page).read_text("utf-8")
    return [body for found, body in BLOCK.findall(text) if found == language]


def environment_of(folder: Path) -> dict[str, str]:
    """Return the environment of a reader without keys, whose stacks live in a folder."""
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("APCA_", "LEAN_LITE_"))
    }
    return {
        **kept,
        "LEAN_LITE_FEED": "simulator",
        "LEAN_LITE_STACK__FOLDER": str(folder),
        "LEAN_LITE_STACK__LINGER_S": "0.5",
        "PYTHONUNBUFFERED": "1",
    }


def run(source: str, folder: Path, *, limit_s: float = 120.0) -> str:
    """Run a program to its end, and return what it printed."""
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


def await_end(folder: Path) -> None:
    """Return when the stack of a folder has ended with its last user."""
    deadline = time.monotonic() + END_S
    while any(folder.glob("*/stack.json")):
        assert time.monotonic() < deadline, f"a stack still runs in {folder} after {END_S:g} s"
        time.sleep(0.1)
