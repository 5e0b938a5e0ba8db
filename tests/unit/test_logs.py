"""Log lines of services and of the supervisor."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime

import pytest

from lean_lite.logs import configure_logs

log = logging.getLogger("lean_lite.test")


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """Restore what `configure_logs` changes."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_a_json_line_has_the_bound_fields_the_event_and_its_extra_fields(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs(service="store")
    log.warning("disk.%s", "full", extra={"free": 0, "path": {1}})
    line = json.loads(capsys.readouterr().err)
    assert datetime.fromisoformat(line.pop("timestamp")).tzinfo is not None
    assert line == {
        "service": "store",
        "event": "disk.full",
        "free": 0,
        "path": "{1}",
        "level": "warning",
        "logger": "lean_lite.test",
    }


def test_an_exception_is_one_field_of_a_json_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs()
    try:
        int("no bar")
    except ValueError:
        log.exception("bar.lost")
    line = json.loads(capsys.readouterr().err)
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("'no bar'")


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_records_below_the_level_are_not_written(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs("warning", log_format)  # type: ignore[arg-type]
    log.info("bar.stored")
    assert capsys.readouterr().err == ""


def test_a_text_line_has_the_same_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "text", service="store")
    log.info("bar.stored", extra={"symbol": "SPY"})
    line = capsys.readouterr().err
    assert "bar.stored" in line
    assert "service=store" in line
    assert "symbol=SPY" in line


def test_json_lines_need_no_structlog() -> None:
    code = (
        "import sys; sys.modules['structlog'] = None; import logging; "
        "from lean_lite.logs import configure_logs; configure_logs(); logging.info('bar.stored')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stderr)["event"] == "bar.stored"
