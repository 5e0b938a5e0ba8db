import os
from pathlib import Path

import pytest

from lean_lite.config import Config
from lean_lite.errors import StackError
from lean_lite.stack import default_folder, find_stack
from lean_lite.stack.folder import StackFolder
from lean_lite.stack.shared.launcher import launch_supervisor


def test_default_folders_are_below_the_users_data_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_folder(Config(), "demo") == tmp_path / "lean-lite" / "demo"


def test_the_setting_replaces_the_users_data_folder(tmp_path: Path) -> None:
    config = Config().replace(stack={"folder": str(tmp_path)})
    assert default_folder(config, "live") == tmp_path / "live"


def test_a_live_stack_is_found_before_a_demo(tmp_path: Path) -> None:
    config = Config().replace(stack={"folder": str(tmp_path)})
    for mode in ("demo", "live"):
        folder = StackFolder(default_folder(config, mode), mode)
        folder.acquire()
        folder.publish_description({"feed": "iex"})
        found = find_stack(config)
        assert found is not None
        assert (found["mode"], found["feed"], found["pid"]) == (mode, "iex", os.getpid())


def test_a_description_without_a_running_process_is_ignored(tmp_path: Path) -> None:
    config = Config().replace(stack={"folder": str(tmp_path)})
    (tmp_path / "live").mkdir()
    description = tmp_path / "live" / "stack.json"
    for text in ('{"pid": 4194305}', "{", '{"pid": "x"}', "{}"):
        description.write_text(text)
        assert find_stack(config) is None


def test_a_demo_does_not_delete_data_of_unknown_origin(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    with pytest.raises(StackError, match="holds live data"):
        StackFolder(tmp_path, "demo").acquire()
    assert (tmp_path / "store").exists()


def test_a_released_folder_can_be_acquired_again(tmp_path: Path) -> None:
    for _ in range(2):
        folder = StackFolder(tmp_path, "live")
        folder.acquire()
        folder.release()
        folder.release()


def test_an_error_names_the_folder_that_can_not_be_created_and_the_reason(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    with pytest.raises(StackError, match=r"can't be used as a stack's folder.*Not a directory"):
        launch_supervisor(Config(), file / "live")
