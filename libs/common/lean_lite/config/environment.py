"""The user's data and cache folders, and the environment of child processes."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lean_lite.config.keys import ALIASES, PREFIX

if TYPE_CHECKING:
    from platformdirs import PlatformDirs

APP_NAME = "lean-lite"


def data_folder() -> Path:
    """Return the folder for data of this user; on Linux `$XDG_DATA_HOME/lean-lite`."""
    return _user_folders().user_data_path


def cache_folder() -> Path:
    """Return the folder for what can be fetched again; on Linux `$XDG_CACHE_HOME/lean-lite`."""
    return _user_folders().user_cache_path


def child_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """
    Return the environment of this process, with other settings.

    Args:
        settings: environment variables that replace all settings of this process.
    """
    inherited = {key: value for key, value in os.environ.items() if not _is_setting(key)}
    return {**inherited, **settings}


def _user_folders() -> "PlatformDirs":
    # Only programs without `bus.url` or with a disk cache need it; a service never does.
    from platformdirs import PlatformDirs  # noqa: PLC0415 - see above

    return PlatformDirs(APP_NAME, appauthor=False)


def _is_setting(variable: str) -> bool:
    return variable in ALIASES or (variable.startswith(PREFIX) and "__" in variable)
