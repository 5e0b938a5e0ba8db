"""Every block of the README runs as it is written, against one running stack."""

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from lean_lite.blocks import BAR
from lean_lite.config import Config
from tests.docs.runner import BLOCK, blocks, environment_of
from tests.harness.paths import ROOT

BINARIES = Path(sys.executable).parent

pytestmark = [pytest.mark.system, pytest.mark.timeout(180), pytest.mark.xdist_group("readme")]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("readme")
    return environment_of(folder)


@pytest.fixture(scope="module")
def running(environment: dict[str, str]) -> Iterator[None]:
    """Run the demo, as `make run` does, until the tests have finished."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lean_lite.cli", "demo"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "bars" in line:
            break
    yield
    process.terminate()
    process.communicate(timeout=30)


def lines_of(command: list[str], environment: dict[str, str], enough: int) -> list[str]:
    """Start a command, return its first lines, and stop it."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.strip())
        if len(lines) == enough:
            break
    process.terminate()
    process.communicate(timeout=30)
    return lines


def test_every_block_is_of_a_kind_that_is_tested_here() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    kinds = [kind for kind, _ in BLOCK.findall(text)]
    assert sorted(kinds) == ["console", "console", "python", "python", "text", "toml"]
    assert text.count("```") == 2 * len(kinds)


def test_the_strategy_receives_history_and_live_bars(
    running: None, environment: dict[str, str], tmp_path: Path
) -> None:
    _, source = blocks("README.md", "python")
    assert len(source.splitlines()) <= 20
    script = tmp_path / "strategy.py"
    script.write_text(source, "utf-8")
    lines = lines_of([sys.executable, str(script)], environment, 7)
    assert re.fullmatch(r"\d+ bars of SPY so far", lines[0])
    assert {line.split()[0] for line in lines[1:]} == {"SPY", "BTC/USD"}


def test_the_make_commands_are_targets_of_the_makefile() -> None:
    first, _ = blocks("README.md", "console")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for line in first.splitlines():
        target = line.removeprefix("$ make ").split()[0]
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_the_verbs_of_the_command_line_print_lines(
    running: None, environment: dict[str, str]
) -> None:
    _, second = blocks("README.md", "console")
    for line in second.splitlines():
        program, *rest = shlex.split(line.removeprefix("$ "))
        assert program == ".venv/bin/lean-lite"
        lines = lines_of([str(BINARIES / "lean-lite"), *rest], environment, 3)
        assert len(lines) == 3
        assert all(lines)


def test_the_settings_of_the_readme_are_valid(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source,) = blocks("README.md", "toml")
    path = tmp_path / "lean-lite.toml"
    path.write_text(source, "utf-8")
    monkeypatch.setenv("LEAN_LITE_CONFIG", str(path))
    config = Config()
    for name, keys in tomllib.loads(source).items():
        for key, value in keys.items():
            assert getattr(getattr(config, name), key) == value


def test_the_map_names_existing_paths() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    for target in re.findall(r"\]\(([\w/.-]+)\)", text):
        assert (ROOT / target).exists(), target


def test_the_page_of_messages_lists_every_column() -> None:
    text = (ROOT / "docs" / "messages.md").read_text("utf-8")
    for column in BAR.columns:
        assert re.search(rf"`[^`]*\b{column}\b[^`]*`", text), column
