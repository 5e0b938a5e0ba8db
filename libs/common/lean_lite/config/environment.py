"""What a process takes from its environment besides settings: the data folder, and children's."""

import os
from collections.abc import Mapping
from pathlib import Path

from lean_lite.config.keys import ALIASES, PREFIX

NAME = "lean-lite"


def data_folder() -> Path:
    """Return where Lean-Lite keeps its data for this user: `$XDG_DATA_HOME/lean-lite`."""
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / NAME


def cache_folder() -> Path:
    """Return where Lean-Lite keeps what it can get again: `$XDG_CACHE_HOME/lean-lite`."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / NAME


def child_environment(overlay: Mapping[str, str]) -> dict[str, str]:
    """Return this process' environment with an overlay of settings in the place of its own."""
    kept = {key: value for key, value in os.environ.items() if not _is_setting(key)}
    return {**kept, **overlay}


def _is_setting(variable: str) -> bool:
    return variable in ALIASES or (variable.startswith(PREFIX) and "__" in variable)
