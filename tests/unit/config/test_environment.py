import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lean_lite.config.environment import cache_folder, data_folder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the folders of Linux")

FOLDERS = [
    (data_folder, "XDG_DATA_HOME", ".local/share/lean-lite"),
    (cache_folder, "XDG_CACHE_HOME", ".cache/lean-lite"),
]


@pytest.mark.parametrize(("folder", "variable", "default"), FOLDERS)
def test_the_users_folders_follow_the_xdg_variables(
    folder: Callable[[], Path],
    variable: str,
    default: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv(variable, str(tmp_path / "set"))
    assert folder() == tmp_path / "set" / "lean-lite"
    monkeypatch.setenv(variable, "")
    assert folder() == tmp_path / "home" / default
    monkeypatch.delenv(variable)
    assert folder() == tmp_path / "home" / default
    assert list(tmp_path.iterdir()) == []
