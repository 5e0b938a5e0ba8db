"""A program started with wrong settings prints the reason in one line and exits with 3."""

from pathlib import Path

import pytest

from tests.harness.command import NOWHERE, run
from tests.harness.error_table import shows


@pytest.mark.parametrize(
    ("situation", "variable", "value"),
    [
        ("an unknown setting", "LEAN_LITE_STORE__PENDING_FRAME", "1"),
        ("a bad value", "LEAN_LITE_STORE__PENDING_FRAMES", "0"),
    ],
)
def test_the_error_for_a_wrong_setting_names_its_variable(
    situation: str, variable: str, value: str
) -> None:
    result = run("lean_lite_store", **{variable: value})
    shows(situation, result.stderr, result.returncode)
    assert variable in result.stderr
    assert "store.pending_frames" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_stack_in_a_folder_that_can_not_be_written_is_refused() -> None:
    result = run(
        "lean_lite.cli",
        "up",
        LEAN_LITE_FEED="simulator",
        LEAN_LITE_STACK__FOLDER=str(NOWHERE),
    )
    shows("a stack's folder that can't be written", result.stderr, result.returncode)
    assert result.stderr.count("\n") == 1


def test_the_error_for_a_shared_stack_without_keys_names_both_solutions(tmp_path: Path) -> None:
    result = run("lean_lite.cli", "up", LEAN_LITE_STACK__FOLDER=str(tmp_path))
    shows("no keys, shared stack", result.stderr, result.returncode)
    assert not any(tmp_path.iterdir())
