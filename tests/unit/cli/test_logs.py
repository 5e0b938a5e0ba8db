from pathlib import Path

import pytest

from lean_lite.cli.logs import logs
from lean_lite.config import Config
from lean_lite.errors import StackError


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config().replace(stack={"folder": tmp_path, "feed": "alpaca"})


def write_log(folder: Path, text: str) -> None:
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "store.log").write_text(f"{text}\n")


async def test_the_logs_of_a_stopped_demo_are_found_without_its_setting(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_log(tmp_path / "demo", "from the demo")
    assert await logs(config, "store", lines=5, follow=False) == 0
    out, error = capsys.readouterr()
    assert out == "from the demo\n"
    assert error == f"there are no logs in {tmp_path}/live; logs of {tmp_path}/demo\n"


async def test_the_other_folder_is_named_when_both_have_logs(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_log(tmp_path / "live", "from the market")
    write_log(tmp_path / "demo", "from the demo")
    await logs(config, "store", lines=5, follow=False)
    out, error = capsys.readouterr()
    assert out == "from the market\n"
    assert error == f"logs of {tmp_path}/live; there are more in {tmp_path}/demo\n"


async def test_both_folders_are_named_when_neither_has_logs(config: Config, tmp_path: Path) -> None:
    with pytest.raises(StackError, match=f"no logs in {tmp_path}/live or {tmp_path}/demo: "):
        await logs(config, None, lines=5, follow=False)


async def test_an_unknown_log_is_refused_with_the_names_of_all(
    config: Config, tmp_path: Path
) -> None:
    write_log(tmp_path / "live", "from the market")
    with pytest.raises(StackError, match=r"no log of 'stroe' in .*/live: expected one of store"):
        await logs(config, "stroe", lines=5, follow=False)
