"""A recorded process is distinguished from a later one with the same pid."""

import os
import subprocess
import sys

import pytest

from lean_lite.stack.processes.pid import is_same_process, start_time

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="start times are those of Linux")


def test_a_running_process_is_the_same_by_its_start_time() -> None:
    assert start_time(os.getpid()) > 0
    assert is_same_process(os.getpid(), start_time(os.getpid()))


def test_another_start_time_means_that_the_pid_was_reused() -> None:
    assert not is_same_process(os.getpid(), start_time(os.getpid()) - 1)


def test_an_exited_process_is_not_running_even_before_it_is_reaped() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started_at = start_time(process.pid)
        assert is_same_process(process.pid, started_at)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not is_same_process(process.pid, started_at)
    assert start_time(process.pid) == 0
    assert not is_same_process(process.pid, started_at)
