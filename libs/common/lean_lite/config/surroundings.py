"""What a process takes from its environment besides settings: the data folder, and children's."""

import os
from collections.abc import Mapping
from pathlib import Path

from lean_lite.config.loader import ALPACA_VARIABLES

NAME = "lean-lite"


def data_folder() -> Path:
    """Return where Lean-Lite keeps its data for this user: `$XDG_DATA_HOME/lean-lite`."""
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / NAME


def child_environment(overlay: Mapping[str, str]) -> dict[str, str]:
    """Return this process' environment with an overlay, without Alpaca's own key variables."""
    kept = {key: value for key, value in os.environ.items() if key not in ALPACA_VARIABLES}
    return {**kept, **overlay}
