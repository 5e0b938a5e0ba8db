from pathlib import Path

import pytest

from lean_lite.cli.logs import logs
from lean_lite.config import Config
from lean_lite.errors import StackError


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config().replace(stack={"folder": tmp_path, "feed": "alpaca"})


def said_in(folder: Path, text: str) -> None:
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "store.log").write_text(f"{text}\n")


async def test_the_logs_of_an_ended_demo_are_found_without_its_setting(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said_in(tmp_path / "demo", "from the demo")
    assert await logs(config, "store", lines=5, follow=False) == 0
    out, told = capsys.readouterr()
    assert out == "from the demo\n"
    assert told == f"there are no logs in {tmp_path}/live; these are those of {tmp_path}/demo\n"


async def test_the_other_folder_is_named_when_both_have_logs(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said_in(tmp_path / "live", "from the market")
    said_in(tmp_path / "demo", "from the demo")
    await logs(config, "store", lines=5, follow=False)
    out, told = capsys.readouterr()
    assert out == "from the market\n"
    assert told == (f"these are the logs of {tmp_path}/live; there are others in {tmp_path}/demo\n")


async def test_both_folders_are_named_when_neither_has_logs(config: Config, tmp_path: Path) -> None:
    with pytest.raises(StackError, match=f"no logs in {tmp_path}/live or {tmp_path}/demo: "):
        await logs(config, None, lines=5, follow=False)


async def test_a_log_that_is_not_there_is_told_with_those_that_are(
    config: Config, tmp_path: Path
) -> None:
    said_in(tmp_path / "live", "from the market")
    with pytest.raises(StackError, match=r"no log of 'stroe' in .*/live; there are store"):
        await logs(config, "stroe", lines=5, follow=False)
