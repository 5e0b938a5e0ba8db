"""Every store process has its own file."""

import subprocess
import sys
from pathlib import Path

import pytest

from lean_lite.errors import ConfigError, StoreError
from lean_lite_store.storage.slots import claim_slot

HOLD = (
    "import sys; from lean_lite_store.storage.slots import claim_slot; "
    "slot = claim_slot(sys.argv[1]); print(slot.number, flush=True); sys.stdin.read()"
)


def test_the_first_free_slot_is_claimed_and_released(tmp_path: Path) -> None:
    first, second = claim_slot(str(tmp_path / "new")), claim_slot(str(tmp_path / "new"))
    assert [first.path.name, second.path.name] == ["store-0.sqlite", "store-1.sqlite"]
    first.release()
    again = claim_slot(str(tmp_path / "new"))
    assert again.number == 0
    again.release()
    second.release()


def test_a_killed_process_leaves_its_slot_free(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"0\n"
        ours = claim_slot(str(tmp_path))
        assert ours.number == 1
        holder.kill()
        holder.wait()
    freed = claim_slot(str(tmp_path))
    assert freed.number == 0
    freed.release()
    ours.release()


def test_an_empty_folder_setting_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"store\.path"):
        claim_slot("")


def test_a_path_that_is_not_a_folder_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="name another folder"):
        claim_slot(str(tmp_path / "file"))
