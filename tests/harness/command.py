"""Programs as a user starts them, with nothing but the environment given."""

import subprocess
import sys
from pathlib import Path

from lean_lite.config.environment import child_environment

# Where not even root makes a folder.
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
