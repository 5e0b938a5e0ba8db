"""The environment of what we are compared with; made when it is first needed."""

import hashlib
import platform
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.shared.child import ROOT
from tests.benchmarks.shared.errors import BenchmarkError

FOLDER = ROOT / ".venv-peers"
LOCK = ROOT / "tests" / "benchmarks" / "peers" / "requirements.txt"
INSTALL_S = 900.0


def peers_python() -> Path:
    """Return the interpreter of the peers' environment; BenchmarkError when it can't be made."""
    python = FOLDER / "bin" / "python"
    if not peers_ready():
        _say(f"installing the peers into {FOLDER.name}: once, and about 1 GB")
        _stamp().unlink(missing_ok=True)
        _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(FOLDER))
        _uv("pip", "sync", "--quiet", "--python", str(python), "--require-hashes", str(LOCK))
        _stamp().write_text(_key())
        _say("the peers are ready")
    return python


def peers_ready() -> bool:
    """Say whether the environment holds what its lock says."""
    return _stamp().is_file() and _stamp().read_text() == _key()


def _stamp() -> Path:
    return FOLDER / ".stamp"


def _key() -> str:
    lock = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    return f"{platform.python_version()} {FOLDER} {lock}"


def _uv(*arguments: str) -> None:
    try:
        subprocess.run(
            [sys.executable, "-m", "uv", *arguments],
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
