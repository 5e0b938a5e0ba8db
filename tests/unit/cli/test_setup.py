import json
import socket
from pathlib import Path

import pytest

from lean_lite.cli.setup import show_environment, write_files
from lean_lite.config import Config
from lean_lite.errors import StackError
from lean_lite.protocol.permissions import ADMIN, ROLES
from lean_lite.stack.processes.ports import free_port

REPLAYED_DATA = ("nats/streams/RAW", "store/bars/store-0.sqlite")


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set a bus address without a server."""
    monkeypatch.setenv("LEAN_LITE_BUS__URL", f"nats://127.0.0.1:{free_port()}")


def texts(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def replay(folder: Path) -> None:
    for name in REPLAYED_DATA:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("bars")


def test_the_brokers_have_the_passwords_in_the_folders_of_the_roles(
    tmp_path: Path,
) -> None:
    write_files(tmp_path)
    users = json.loads((tmp_path / "nats" / "nats.conf").read_text())["authorization"]["users"]
    assert {user["user"]: user["password"] for user in users} == {
        role: (tmp_path / role / "password").read_text() for role in (*ROLES, ADMIN)
    }
    password = (tmp_path / "valkey" / "password").read_text()
    assert f"requirepass {password}\n" in (tmp_path / "valkey" / "valkey.conf").read_text()
    assert f":{password}@" in (tmp_path / "store" / "redis_url").read_text()


def test_only_the_owner_can_read_the_files(tmp_path: Path) -> None:
    write_files(tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_writing_twice_changes_nothing(tmp_path: Path) -> None:
    write_files(tmp_path)
    replay(tmp_path)
    before = texts(tmp_path)
    write_files(tmp_path)
    assert texts(tmp_path) == before


def test_a_demo_deletes_the_bars_of_an_earlier_replay_but_no_passwords(
    tmp_path: Path,
) -> None:
    write_files(tmp_path, demo=True)
    before = texts(tmp_path)
    replay(tmp_path)
    write_files(tmp_path, demo=True)
    assert texts(tmp_path) == before


def test_a_running_demo_keeps_its_bars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replay(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"nats://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("LEAN_LITE_BUS__URL", url)
        write_files(tmp_path, demo=True)
    assert all((tmp_path / name).exists() for name in REPLAYED_DATA)


def test_the_printed_variables_are_all_that_a_strategy_needs_to_connect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_files(tmp_path)
    show_environment(tmp_path, url="nats://127.0.0.1:4222")
    for line in capsys.readouterr().out.splitlines():
        monkeypatch.setenv(*line.split("=", 1))
    bus = Config().bus
    assert (bus.url, bus.user, bus.feed_user) == ("nats://127.0.0.1:4222", "client", "feed")
    assert bus.password == (tmp_path / "client" / "password").read_text()
    assert bus.feed_password == (tmp_path / "feed" / "password").read_text()


def test_printing_passwords_before_the_first_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="start the stack first"):
        show_environment(tmp_path, url="nats://127.0.0.1:4222")


def test_an_error_names_the_folder_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "admin").write_text("in the way")
    with pytest.raises(StackError, match=f"{tmp_path} can't be used"):
        write_files(tmp_path)
