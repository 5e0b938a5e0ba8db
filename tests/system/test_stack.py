"""The embedded stack with real brokers and small services, so that only the stack is tested."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from lean_lite.bus import connect
from lean_lite.config import Config
from lean_lite.errors import StackError
from lean_lite.stack import SimulatorOptions, Stack, default_folder, find_stack
from tests.harness.command import run
from tests.harness.error_table import shows
from tests.harness.waiting import until

pytestmark = pytest.mark.system

STOP_LIMIT_S = 20.0
SERVICE = """\
import asyncio, os, signal
from lean_lite.service import run

class Small:
    def __init__(self, context):
        self.config = context.config
    async def run(self):
        {work}
        await asyncio.Event().wait()
    def failing(self):
        return {failing}

run("{name}", Small)
"""
IGNORES_SIGTERM = """loop = asyncio.get_running_loop()
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)"""
OWNER = """\
import asyncio, json, pathlib, sys
from lean_lite.config import Config
from lean_lite.stack import Stack
from tests.harness.waiting import until

async def main():
    async with Stack(Config(), folder=pathlib.Path(sys.argv[1]), services=("store",)) as stack:
        print(json.dumps([child.pid for child in stack.children.values()]), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Replace a service with a small program."""
    programs = tmp_path / "programs"
    monkeypatch.setenv("PYTHONPATH", str(programs))

    def install(
        name: str, *, work: str = "pass", failing: str = "()", program: str = SERVICE
    ) -> None:
        package = programs / f"lean_lite_{name}"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        text = program.format(name=name, work=work, failing=failing)
        (package / "__main__.py").write_text(text)

    return install


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "live"


def alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def restarted(stack: Stack, name: str) -> bool:
    return stack.restarts[name] == 1


async def test_brokers_answer_and_their_files_are_private(folder: Path) -> None:
    async with Stack(Config(), folder=folder, services=()) as stack:
        bus = await connect(stack.bus_config("client"), "client", name="test")
        assert bus.connected
        await bus.close()
        for name in ("nats/nats.conf", "valkey/valkey.conf", "stack.json"):
            assert (folder / name).stat().st_mode & 0o777 == 0o600
    assert not (folder / "stack.json").exists()


async def test_a_running_stack_is_found_until_it_stops(tmp_path: Path) -> None:
    config = Config().replace(stack={"folder": str(tmp_path)})
    assert find_stack(config) is None
    async with Stack(config, folder=default_folder(config, "live"), services=()) as stack:
        found = find_stack(config)
        assert found is not None
        assert found["mode"] == "live"
        assert found["pid"] == os.getpid()
        client = stack.bus_config("client")
        assert (found["bus_url"], found["user"]) == (client.url, "client")
        assert found["password"] == str(client.password)
    assert find_stack(config) is None


async def test_a_service_gets_its_own_user_and_no_alpaca_keys(
    folder: Path, install: Install, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    work = (
        f"open({str(seen)!r}, 'w').write(repr((self.config.bus.user, self.config.store.path, "
        "str(self.config.alpaca.key_id), self.config.alpaca.simulated)))"
    )
    install("store", work=work)
    config = Config().replace(alpaca={"key_id": "key", "simulated": True})
    async with Stack(config, folder=folder, services=("store",)):
        assert seen.read_text() == repr(("store", str(folder / "store"), "", True))


async def test_the_error_names_a_service_that_is_not_ready_its_reason_and_its_log(
    folder: Path, install: Install
) -> None:
    install("store", failing='("the disk is full",)')
    config = Config().replace(stack={"start_s": 4.0})
    with pytest.raises(StackError, match="store: the disk is full") as caught:
        await Stack(config, folder=folder, services=("store",)).start()
    assert str(folder / "logs" / "store.log") in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_stack_starts_without_external_services_and_reports_them(
    folder: Path, install: Install
) -> None:
    install(
        "store", failing='(__import__("lean_lite").service.ExternalReason("the line is dead"),)'
    )
    async with Stack(Config(), folder=folder, services=("store",)) as stack:
        assert stack.external_reasons == ("the line is dead",)
        described = json.loads((folder / "stack.json").read_text())
        assert described["outside"] == ["the line is dead"]


async def test_a_service_that_can_not_start_ends_the_wait_with_its_message(
    folder: Path, install: Install
) -> None:
    install("store", program='raise SystemExit(print("the path is a file") or 3)')
    stack = Stack(Config(), folder=folder, services=("store",))
    with pytest.raises(StackError, match="store could not start: the path is a file"):
        await stack.start()
    assert stack.children == {}


async def test_a_broker_that_ends_at_once_is_reported(folder: Path) -> None:
    config = Config().replace(stack={"nats_server": "/bin/false"})
    with pytest.raises(StackError, match="nats ended"):
        await Stack(config, folder=folder, services=()).start()


async def test_the_error_for_a_missing_program_names_it(folder: Path) -> None:
    config = Config().replace(stack={"valkey_server": "/nowhere/valkey-server"})
    with pytest.raises(StackError, match="/nowhere/valkey-server"):
        await Stack(config, folder=folder, services=()).start()


async def test_a_killed_child_is_restarted_and_counted(folder: Path, install: Install) -> None:
    install("store")
    async with Stack(Config(), folder=folder, services=("store",)) as stack:
        for name in ("store", "nats"):
            before = stack.children[name].pid
            os.kill(before, signal.SIGKILL)
            await until(partial(restarted, stack, name), f"{name} to restart", 20)
            assert stack.children[name].pid != before
        bus = await connect(stack.bus_config("client"), "client", name="test")
        await bus.close()


async def test_children_that_ignore_the_signal_are_killed_within_the_limit(
    folder: Path, install: Install
) -> None:
    names = ("store", "validate", "ingest")
    for name in names:
        install(name, work=IGNORES_SIGTERM)
    stack = Stack(Config(), folder=folder, services=names)
    await stack.start()
    pids = [child.pid for child in stack.children.values()]
    await asyncio.wait_for(stack.stop(), STOP_LIMIT_S)
    assert not any(alive(pid) for pid in pids)
    await stack.stop()


async def test_a_cancelled_stop_still_stops(folder: Path) -> None:
    stack = Stack(Config(), folder=folder, services=())
    await stack.start()
    pids = [child.pid for child in stack.children.values()]
    stopping = asyncio.create_task(stack.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert not any(alive(pid) for pid in pids)


async def test_a_cancelled_start_leaves_nothing_running(folder: Path, install: Install) -> None:
    install("store", failing='("never",)')
    stack = Stack(Config(), folder=folder, services=("store",))
    starting = asyncio.create_task(stack.start())
    await until(lambda: "store" in stack.children, "the store", 20)
    pids = [child.pid for child in stack.children.values()]
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not any(alive(pid) for pid in pids)


async def test_a_second_stack_in_the_same_folder_is_refused(folder: Path) -> None:
    async with Stack(Config(), folder=folder, services=()):
        with pytest.raises(StackError, match=rf"process {os.getpid()}.*stack\.folder"):
            await Stack(Config(), folder=folder, services=()).start()
    async with Stack(Config(), folder=folder, services=()):
        assert (folder / "stack.json").exists()


@pytest.fixture
def owner(folder: Path, install: Install) -> Iterator[subprocess.Popen[bytes]]:
    install("store", work=IGNORES_SIGTERM)
    command = [sys.executable, "-c", OWNER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
async def test_an_owner_that_is_killed_leaves_no_process(owner: subprocess.Popen[bytes]) -> None:
    assert owner.stdout is not None
    pids = json.loads(await asyncio.to_thread(owner.stdout.readline))
    assert len(pids) == 3
    assert all(alive(pid) for pid in pids)
    owner.kill()
    await until(lambda: not any(alive(pid) for pid in pids), "the end", STOP_LIMIT_S)


async def test_a_demo_uses_the_simulator_and_deletes_its_data(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    for _ in range(2):
        async with Stack(Config(), folder=folder, services=(), simulator=SimulatorOptions()) as it:
            assert it.config.alpaca.simulated
            assert it.config.alpaca.rest_url.startswith("http://127.0.0.1:")
            assert not (folder / "store").exists()
            (folder / "store").mkdir()
            (folder / "mine.txt").touch()
    assert (folder / "mine.txt").exists()


async def test_a_simulator_that_is_not_ready_in_time_is_reported(tmp_path: Path) -> None:
    config = Config().replace(stack={"start_s": 0.01})
    stack = Stack(config, folder=tmp_path, services=(), simulator=SimulatorOptions())
    with pytest.raises(StackError, match=r"not ready within 0\.01 s|did not answer within"):
        await stack.start()


async def test_up_is_refused_while_a_stack_runs_in_the_foreground(tmp_path: Path) -> None:
    config = Config().replace(stack={"folder": str(tmp_path)})
    folder = default_folder(config, "demo")
    async with Stack(config, folder=folder, services=(), simulator=SimulatorOptions()):
        given = {"LEAN_LITE_FEED": "simulator", "LEAN_LITE_STACK__FOLDER": str(tmp_path)}
        up = await asyncio.to_thread(run, "lean_lite.cli", "up", **given)
        shows("`lean-lite up` beside `make run`", up.stderr, up.returncode)
        assert f"(process {os.getpid()}," in up.stderr
        assert not (folder / "keep").exists()


async def test_a_demo_refuses_the_folder_of_live_data(folder: Path) -> None:
    async with Stack(Config(), folder=folder, services=()):
        pass
    (folder / "store").mkdir()
    demo = Stack(Config(), folder=folder, services=(), simulator=SimulatorOptions())
    with pytest.raises(StackError, match="holds live data"):
        await demo.start()
    assert (folder / "store").exists()


async def test_a_simulator_that_refuses_its_options_is_reported(tmp_path: Path) -> None:
    options = SimulatorOptions(start="yesterday")
    stack = Stack(Config(), folder=tmp_path / "demo", services=(), simulator=options)
    with pytest.raises(StackError, match="simulator could not start: can't start"):
        await stack.start()
