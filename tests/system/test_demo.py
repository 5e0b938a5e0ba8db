"""The demo command, as a user starts it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.harness.command import processes_of

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

COMMAND = [sys.executable, "-m", "lean_lite.cli", "demo"]


def environment(folder: Path) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("APCA_")}
    return {**kept, "LEAN_LITE_STACK__FOLDER": str(folder)}


def last_json(text: str) -> dict[str, Any]:
    return dict(json.loads(text.strip().splitlines()[-1]))


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *options],
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_bars(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if "bars" in line:
            return
    raise AssertionError("the demo ended before its first bar")


def test_every_bar_that_was_published_is_graded_stored_and_delivered_once(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--seconds", "10", "--strategies", "2", "--json"],
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    report = last_json(done.stdout)
    assert report["lost"] == 0
    assert report["duplicated"] == 0
    assert report["published"] == report["graded"] + report["quarantined"] + report["repeated"]
    assert report["stored"] == report["graded"] == report["delivered"]
    assert report["quarantined"] == 0
    assert set(report["symbols"]) == {"SPY", "AAPL", "BTC/USD"}
    assert all(symbol["bars"] > 10 for symbol in report["symbols"].values())
    assert report["latency_ms"]["p50"] > 0
    assert report["simulated"]
    assert "SIMULATED DATA" in done.stderr
    assert processes_of(tmp_path) == {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_processes_and_the_demo_still_reports(
    number: signal.Signals, tmp_path: Path
) -> None:
    process = start(tmp_path, "--json")
    wait_for_bars(process)
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert processes_of(tmp_path) == {}
    report = last_json(output)
    assert report["lost"] == 0
    assert report["duplicated"] == 0


def test_no_process_is_left_when_the_demo_is_killed(tmp_path: Path) -> None:
    process = start(tmp_path)
    assert process.stdout is not None
    for line in process.stdout:
        if "bars" in line:
            break
    assert len(processes_of(tmp_path)) >= 7
    process.kill()
    process.communicate(timeout=30)
    deadline = time.monotonic() + 10
    while processes_of(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_of(tmp_path) == {}


def test_the_demo_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    starter = subprocess.Popen(
        ["sh", "-c", '"$@" & wait', "sh", *COMMAND, "--with-parent"],
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout is not None
    for line in starter.stdout:
        if "bars" in line:
            break
    starter.kill()
    starter.wait()
    starter.stdout.close()
    deadline = time.monotonic() + 15
    while processes_of(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_of(tmp_path) == {}


def test_a_wrong_setting_prints_one_line_and_exits_with_3(tmp_path: Path) -> None:
    done = subprocess.run(
        COMMAND,
        env={**environment(tmp_path), "LEAN_LITE_STACK__SPED": "60"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "did you mean stack.speed?" in done.stderr


def test_a_second_demo_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    first = start(tmp_path)
    assert first.stdout is not None
    for line in first.stdout:
        if "bars" in line:
            break
    second = start(tmp_path)
    _, errors = second.communicate(timeout=30)
    first.terminate()
    first.communicate(timeout=30)
    assert second.returncode == 3
    assert "a stack already runs in" in errors
