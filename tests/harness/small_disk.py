"""A small disk that a test can fill."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BYTES = 2 * 1024**2


@contextmanager
def mounted(folder: Path) -> Iterator[Path]:
    """Mount a file system of 2 MiB in memory, or skip the test where that is not allowed."""
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={BYTES}", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(mounting, check=False, capture_output=True).returncode:
        pytest.skip("a small disk can be mounted by root only")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Fill the disk with one file, and return it."""
    filler = folder / "filler"
    found = os.statvfs(folder)
    filler.write_bytes(b"x" * (found.f_bavail * found.f_frsize))
    return filler
