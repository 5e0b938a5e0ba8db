"""Every Python block of the specification runs as it is written, on the simulator."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.programs import ROOT, await_end, environment_of
from tests.docs.snippet import sources
from tests.docs.stages import STAGES

NATS_MICRO = "ignore:datetime.datetime.utcnow:DeprecationWarning"
PAGE = os.environ.get("LEAN_LITE_SPECIFICATION", "")

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(180),
    pytest.mark.skipif(not PAGE, reason="LEAN_LITE_SPECIFICATION names no file"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep one stack for all blocks."""
    folder = tmp_path_factory.mktemp("specification")
    command = [sys.executable, "-m", "lean_lite.cli"]
    environment = environment_of(folder)
    subprocess.run([*command, "up"], env=environment, check=True, timeout=60)
    yield folder
    subprocess.run([*command, "down"], env=environment, check=True, timeout=60)
    await_end(folder)


def test_every_block_has_a_stage() -> None:
    assert len(sources(Path(PAGE))) == len(STAGES) == 19


@pytest.mark.parametrize("number", range(len(STAGES)), ids=[one.__name__ for one in STAGES])
def test_a_block_runs_as_it_is_written(number: int, home: Path, tmp_path: Path) -> None:
    options = ["-W", "error", "-W", NATS_MICRO, "-m", "tests.docs.snippet"]
    result = subprocess.run(
        [sys.executable, *options, str(Path(PAGE).resolve()), str(number)],
        env=environment_of(home) | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    if number == 0:
        assert re.fullmatch(r"Retrieved \d{4,} historical bars\n", result.stdout)
