"""Data and cache folders, and the environment of child processes."""

import os
from collections.abc import Mapping
from pathlib import Path

from lean_lite.config.keys import ALIASES, PREFIX

NAME = "lean-lite"


def data_folder() -> Path:
    """Return the folder of this user's data: `$XDG_DATA_HOME/lean-lite`."""
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / NAME


def cache_folder() -> Path:
    """Return the folder of data that can be fetched again: `$XDG_CACHE_HOME/lean-lite`."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / NAME


def child_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of this process with its settings replaced by those given."""
    others = {key: value for key, value in os.environ.items() if not _is_setting(key)}
    return {**others, **settings}


def _is_setting(variable: str) -> bool:
    return variable in ALIASES or (variable.startswith(PREFIX) and "__" in variable)
