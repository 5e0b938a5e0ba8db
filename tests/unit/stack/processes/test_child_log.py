from pathlib import Path

from lean_lite.stack.processes.child_log import ChildLog


def test_lines_are_only_those_since_the_last_start(tmp_path: Path) -> None:
    log = ChildLog(tmp_path / "logs" / "store.log")
    assert log.lines() == []
    for text in (b"first\n", b"second\n"):
        with log.open() as file:
            file.write(text)
    assert log.lines() == ["second"]
    assert log.path.read_text() == "first\nsecond\n"


def test_the_last_error_of_a_json_line_is_its_field_error(tmp_path: Path) -> None:
    log = ChildLog(tmp_path / "store.log")
    with log.open() as file:
        file.write(b'noise\n{"event": "service.start_failed", "error": "no keys"}\n\n')
    assert log.last_error() == "no keys"


def test_the_last_error_of_a_child_without_output_says_that_it_wrote_nothing(
    tmp_path: Path,
) -> None:
    assert ChildLog(tmp_path / "store.log").last_error() == "it has written nothing"


def test_a_large_log_is_renamed_at_the_next_start(tmp_path: Path) -> None:
    log = ChildLog(tmp_path / "store.log", max_bytes=4)
    for text in (b"first\n", b"second\n"):
        with log.open() as file:
            file.write(text)
    assert log.path.read_text() == "second\n"
    assert (tmp_path / "store.log.1").read_text() == "first\n"
