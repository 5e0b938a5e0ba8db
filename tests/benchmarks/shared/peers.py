"""The environment of what we are compared with; made when it is first needed."""

import hashlib
import platform
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.shared.errors import BenchmarkError
from tests.harness.paths import ROOT

FOLDER = ROOT / ".venv-peers"
LOCK = ROOT / "tests" / "benchmarks" / "peers" / "requirements.txt"
INSTALL_S = 900.0


class Peers:
    """Be an environment of its own, which holds what a lock says."""

    def __init__(self, folder: Path = FOLDER, lock: Path = LOCK) -> None:
        self._folder = folder
        self._lock = lock
        self._stamp = folder / ".stamp"
        self.python = folder / "bin" / "python"

    def ready(self) -> bool:
        """Say whether it holds what the lock says."""
        return self._stamp.is_file() and self._stamp.read_text() == self._key()

    def install(self) -> Path:
        """Make it hold what the lock says, and return its interpreter; BenchmarkError if not."""
        if not self.ready():
            _say(f"installing the peers into {self._folder.name}: once, and about 1 GB")
            self._stamp.unlink(missing_ok=True)
            _uv("venv", "--clear", "--python", sys.executable, str(self._folder))
            _uv("pip", "sync", "--python", str(self.python), "--require-hashes", str(self._lock))
            self._stamp.write_text(self._key())
            _say("the peers are ready")
        return self.python

    def _key(self) -> str:
        lock = hashlib.sha256(self._lock.read_bytes()).hexdigest()
        return f"{platform.python_version()} {self._folder} {lock}"


def _uv(*arguments: str) -> None:
    try:
        subprocess.run(
            [sys.executable, "-m", "uv", "--quiet", *arguments],
            check=True,
            capture_output=True,
            text=True,
            timeout=INSTALL_S,
        )
    except subprocess.TimeoutExpired as error:
        message = f"the peers were not installed within {INSTALL_S:g} s: is the network slow?"
        raise BenchmarkError(message) from error
    except subprocess.CalledProcessError as error:
        message = (
            f"the peers could not be installed (`uv {' '.join(arguments[:2])}`): "
            f"{error.stderr.strip()}\nSee that the package index can be reached, and try again."
        )
        raise BenchmarkError(message) from error


def _say(text: str) -> None:
    print(f"benchmarks: {text}", file=sys.stderr, flush=True)
