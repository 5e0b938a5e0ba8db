"""Where and with what a benchmark ran."""

import os
import platform
import re
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """Return the cores that we may use, the processor's model, and the system."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cores": cores,
        "model": _model(),
        "system": f"{platform.system()} {platform.release()}",
    }


def versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python and of installed distributions."""
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def _model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()
