"""Programs as a user starts them, and the processes that they leave."""

import os
import subprocess
import sys
from pathlib import Path

from lean_lite.config.environment import child_environment

# Where not even root can create a folder.
NOWHERE = Path("/sys/lean-lite")


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        env=child_environment(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def processes_of(folder: Path) -> dict[int, str]:
    """Return the command lines of all other processes that were started for this folder."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            text = (path / "environ").read_bytes() + (path / "cmdline").read_bytes()
            state = (path / "stat").read_text().rpartition(")")[2].split()[0]
            if str(folder).encode() in text and state not in "ZX" and int(path.name) != os.getpid():
                found[int(path.name)] = (path / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return found
