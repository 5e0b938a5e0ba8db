from pathlib import Path

import pytest

from lean_lite.stack.processes import child_log as log
from lean_lite.stack.processes.child_log import ChildLog


def test_only_what_was_said_since_the_last_start_counts(tmp_path: Path) -> None:
    child = ChildLog(tmp_path / "logs" / "store.log")
    assert child.lines() == []
    for text in (b"first\n", b"second\n"):
        with child.open() as file:
            file.write(text)
    assert child.lines() == ["second"]
    assert child.path.read_text() == "first\nsecond\n"


def test_the_error_of_a_json_line_is_the_last_word(tmp_path: Path) -> None:
    child = ChildLog(tmp_path / "store.log")
    with child.open() as file:
        file.write(b'noise\n{"event": "service.could_not_start", "error": "no keys"}\n\n')
    assert child.last_error() == "no keys"


def test_a_child_that_was_silent_has_last_words_all_the_same(tmp_path: Path) -> None:
    assert ChildLog(tmp_path / "store.log").last_error() == "it has said nothing"


def test_a_large_log_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "LIMIT_BYTES", 4)
    child = ChildLog(tmp_path / "store.log")
    for text in (b"first\n", b"second\n"):
        with child.open() as file:
            file.write(text)
    assert child.path.read_text() == "second\n"
    assert (tmp_path / "store.log.1").read_text() == "first\n"
