from pathlib import Path

import pytest

from tests.benchmarks.shared.errors import BenchmarkError
from tests.benchmarks.shared.peers import LOCK, Peers


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "requirements.txt"


def test_an_environment_is_created_once_for_each_lock(
    tmp_path: Path, lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock.write_text("# nothing\n")
    peers = Peers(tmp_path / "venv", lock)
    assert not peers.ready()
    assert peers.install().exists()
    assert "installing the peers into venv" in capsys.readouterr().err
    assert peers.ready()
    assert peers.install().exists()
    assert capsys.readouterr().err == ""
    lock.write_text("# nothing else\n")
    assert not peers.ready()


def test_a_failed_installation_is_reported_and_leaves_the_peers_not_ready(
    tmp_path: Path, lock: Path
) -> None:
    lock.write_text("msgspec==0.22.0\n")
    peers = Peers(tmp_path / "venv", lock)
    with pytest.raises(BenchmarkError, match=r"(?s)could not be installed.*hash"):
        peers.install()
    assert not peers.ready()


def test_the_lock_has_hashes_and_no_urls_or_options() -> None:
    lines = LOCK.read_text().splitlines()
    assert any(line.startswith("nautilus-trader==") for line in lines)
    assert sum("--hash=sha256:" in line for line in lines) >= sum("==" in line for line in lines)
    assert not [line for line in lines if "://" in line or line.startswith("-")]
