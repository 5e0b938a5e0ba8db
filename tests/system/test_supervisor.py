"""One stack for all users of a machine: started once, restarted if killed, ended with the last."""

import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.aio.msg import Msg

from lean_lite.bus import Bus, connect
from lean_lite.config import Config
from lean_lite.errors import ConfigError, StackError
from lean_lite.protocol.heartbeat import Heartbeat
from lean_lite.protocol.subjects import HEARTBEATS
from lean_lite.stack import SERVICES, Membership, end_stack, find_stack, join_stack
from lean_lite.stack.processes.ports import LOCALHOST, free_port
from lean_lite_sim import Simulator, SimulatorSettings
from tests.harness.command import processes_of
from tests.harness.error_table import shows
from tests.harness.waiting import until

SOAK = bool(os.environ.get("LEAN_LITE_SOAK"))
KILLS = 50 if SOAK else 6
LINGER_S = 1.0
START_LIMIT_S = 60.0
RECOVERY_LIMIT_S = 60.0

pytestmark = [pytest.mark.system, pytest.mark.soak, pytest.mark.timeout(3600 if SOAK else 300)]

COMMAND = (sys.executable, "-m", "lean_lite.cli")
USER = """\
import asyncio, json
from lean_lite.config import Config
from lean_lite.stack import join_stack

async def main():
    membership = await join_stack(Config())
    print(json.dumps(membership.facts), flush=True)
    await membership.lost.wait()
    print(membership.why, flush=True)

asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Use a folder of its own and the simulator; end the stack after the test."""
    for name in [*os.environ]:
        if name.startswith(("LEAN_LITE_STACK", "LEAN_LITE_FEED", "APCA_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LEAN_LITE_STACK__FOLDER", str(tmp_path))
    monkeypatch.setenv("LEAN_LITE_STACK__LINGER_S", str(LINGER_S))
    monkeypatch.setenv("LEAN_LITE_STACK__START_S", str(START_LIMIT_S))
    monkeypatch.setenv("LEAN_LITE_FEED", "simulator")
    yield tmp_path
    asyncio.run(end_stack(Config()))


def supervisors(folder: Path) -> list[int]:
    return [
        pid for pid, command in processes_of(folder).items() if " -m lean_lite.stack " in command
    ]


def named(folder: Path, word: str) -> list[int]:
    return [pid for pid, command in processes_of(folder).items() if word in command.split(" ")[0]]


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


class User:
    """Use the stack in a process of its own."""

    def __init__(self, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    async def next_line(self) -> str:
        """Return its next line of output, or its last error."""
        assert self.process.stdout is not None
        line = await asyncio.to_thread(self.process.stdout.readline)
        if not line:
            _, errors = await asyncio.to_thread(self.process.communicate)
            return str(errors.strip().splitlines()[-1])
        return line.strip()

    async def facts(self) -> dict[str, Any]:
        return dict(json.loads(await self.next_line()))

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@asynccontextmanager
async def some_users(count: int) -> AsyncIterator[list[User]]:
    users = [User() for _ in range(count)]
    try:
        yield users
    finally:
        for user in users:
            user.kill()


@asynccontextmanager
async def joined() -> AsyncIterator[Membership]:
    membership = await join_stack(Config())
    try:
        yield membership
    finally:
        await membership.leave()


class Listener:
    """Receive the heartbeats of the services on one connection during the complete test."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.beats: dict[str, Heartbeat] = {}

    async def start(self) -> None:
        await self.bus.subscribe(HEARTBEATS, self._on_beat)

    async def _on_beat(self, message: Msg) -> None:
        beat = msgspec.msgpack.decode(message.data, type=Heartbeat)
        self.beats[beat.service] = beat

    def has_beats_of_all(self, folder: Path) -> bool:
        alive = processes_of(folder)
        return all(
            name in self.beats and self.beats[name].ready and self.beats[name].pid in alive
            for name in SERVICES
        )


def run(*verb: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *verb],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )


async def test_ten_processes_that_start_at_once_share_one_stack_that_ends_with_the_last(
    home: Path,
) -> None:
    async with some_users(10) as users:
        facts = [await user.facts() for user in users]
        assert len({one["pid"] for one in facts}) == 1
        assert supervisors(home) == [facts[0]["pid"]]
        assert len(named(home, "nats-server")) == 1
        for user in users[:-1]:
            user.kill()
        await asyncio.sleep(LINGER_S + 2)
        assert supervisors(home) == [facts[0]["pid"]]
        users[-1].kill()
        await until(lambda: not processes_of(home), "the end of all processes", LINGER_S + 5)
    assert not (home / "demo" / "stack.json").exists()
    assert not (home / "demo" / "session.json").exists()


async def test_a_second_run_reuses_the_stack_until_it_has_stopped(home: Path) -> None:
    pids = []
    for _ in range(2):
        async with joined() as membership:
            pids.append(membership.facts["pid"])
            await membership.leave()
    assert pids[0] == pids[1]
    await until(lambda: not processes_of(home), "the end of all processes", LINGER_S + 10)
    # A join while the stack stops waits for its end.
    async with joined() as membership:
        assert membership.facts["pid"] != pids[0]


async def test_the_stack_files_are_private_and_without_keys(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APCA_API_KEY_ID", "hunter2")
    async with joined() as membership:
        for name in ("stack.json", "session.json"):
            path = home / "demo" / name
            assert path.stat().st_mode & 0o777 == 0o600
            assert "hunter2" not in path.read_text()
        assert membership.facts["account"] == "simulator"
        command = processes_of(home)[membership.facts["pid"]]
        assert membership.facts["password"] not in command


async def test_users_continue_when_a_user_child_or_supervisor_is_killed(home: Path) -> None:
    chance = random.Random(4)
    async with joined() as membership, some_users(2) as users:
        for user in users:
            await user.facts()
        listener = Listener(await connect(membership.bus, "client", name="listener"))
        await listener.start()
        store = home / "demo" / "store"
        await until(store.exists, "the store's folder")
        witness = store / "witness"
        witness.touch()
        victims: list[str] = []
        for _ in range(KILLS):
            victims = victims or chance.sample(["user", "child", "supervisor"], 3)
            victim = victims.pop()
            await asyncio.sleep(chance.uniform(0.1, 2.0))
            owner = membership.facts["pid"]
            if victim == "user":
                user = users.pop(0)
                user.kill()
                users.append(User())
                await users[-1].facts()
            else:
                children = [pid for pid in processes_of(home) if parent_of(pid) == owner]
                os.kill(
                    owner if victim == "supervisor" else chance.choice(children), signal.SIGKILL
                )
            killed_at = time.time_ns()
            listener.beats.clear()

            def recovered(since_ns: int = killed_at) -> bool:
                return listener.has_beats_of_all(home) and all(
                    beat.wall_ns > since_ns for beat in listener.beats.values()
                )

            await until(recovered, f"all services after a {victim} was killed", RECOVERY_LIMIT_S)
            await until(lambda: find_stack(Config()) == membership.facts, "the facts to be updated")
            if victim == "supervisor":
                assert membership.facts["pid"] != owner
            owner = membership.facts["pid"]
            mine = {user.process.pid for user in users} | {owner}

            def orphans(owner: int = owner, mine: frozenset[int] = frozenset(mine)) -> list[int]:
                found = processes_of(home)
                return [pid for pid in found if pid not in mine and parent_of(pid) != owner]

            await until(
                lambda: not orphans(), f"the end of orphans after a {victim} was killed", 10
            )
            assert witness.exists(), "the data of a demo was deleted while it had users"
            assert not membership.lost.is_set()
        await listener.bus.close()
    await until(lambda: not processes_of(home), "the end of all processes", LINGER_S + 5)


async def test_the_simulators_clock_continues_when_the_supervisor_is_killed(home: Path) -> None:
    async with joined() as membership:
        first = clock_of(home)
        owner = membership.facts["pid"]
        os.kill(owner, signal.SIGKILL)
        await until(lambda: membership.facts["pid"] != owner, "another supervisor")
        second = clock_of(home)
        wall_s = (second["wall_ns"] - first["wall_ns"]) / 1e9
        feed_s = (second["feed_ns"] - first["feed_ns"]) / 1e9
        assert feed_s == pytest.approx(wall_s * first["speed"], abs=2 * first["speed"])


def clock_of(home: Path) -> dict[str, Any]:
    lines = (home / "demo" / "logs" / "simulator.log").read_text().splitlines()
    return dict(json.loads([line for line in lines if line.startswith('{"rest_url"')][-1])["clock"])


async def test_a_new_demo_deletes_the_data_of_a_killed_one(home: Path) -> None:
    async with joined() as membership:
        owner = membership.facts["pid"]
    os.kill(owner, signal.SIGKILL)
    await until(lambda: not processes_of(home), "the end of the children")
    witness = home / "demo" / "store" / "witness"
    witness.touch()
    async with joined():
        assert not witness.exists()


async def test_down_stops_the_stack_for_its_users_too(home: Path) -> None:
    async with joined() as membership, some_users(1) as users:
        await users[0].facts()
        assert run("down").returncode == 0
        await asyncio.wait_for(membership.lost.wait(), 10)
        assert "join again" in membership.why
        assert "join again" in await users[0].next_line()
        users[0].kill()
        assert processes_of(home) == {}


async def test_the_commands_up_status_logs_and_down_work(home: Path) -> None:
    none = run("status")
    assert (none.returncode, none.stdout) == (
        3,
        "no stack is running: start one with `lean-lite up`\n",
    )
    up = run("up")
    assert up.returncode == 0, up.stderr
    assert "demo stack, ready" in up.stdout
    assert run("up").returncode == 0
    await asyncio.sleep(LINGER_S + 2)
    result = run("status", "--json")
    assert result.returncode == 0
    status = json.loads(result.stdout)
    assert status["ready"]
    assert status["services"] == dict.fromkeys(SERVICES, "ready")
    assert (status["mode"], status["feed"], status["users"]) == ("demo", "iex", 0)
    assert supervisors(home) == [status["pid"]]
    async with joined() as membership:
        assert membership.facts["pid"] == status["pid"]
        assert json.loads(run("status", "--json").stdout)["users"] == 1
    logs = run("logs", "store", "--lines", "1")
    assert logs.returncode == 0
    assert len(logs.stdout.splitlines()) == 1
    assert {line.split()[0] for line in run("logs").stdout.splitlines()} >= {"nats", "supervisor"}
    wrong = run("logs", "stroe")
    assert wrong.returncode == 3
    assert "store" in wrong.stderr
    down = run("down")
    assert (down.returncode, processes_of(home)) == (0, {})
    assert run("down").stdout == "no stack is running: nothing to stop\n"


async def test_logs_follow_prints_new_lines(home: Path) -> None:
    async with joined():
        following = await asyncio.create_subprocess_exec(
            *COMMAND, "logs", "supervisor", "--follow", stdout=asyncio.subprocess.PIPE
        )
        assert following.stdout is not None
        assert b"supervisor.ready" in await following.stdout.readline()
        os.kill(named_child(home, "validate"), signal.SIGKILL)
        assert json.loads(await following.stdout.readline())["child"] == "validate"
        following.kill()
        await following.communicate()


def named_child(home: Path, name: str) -> int:
    return next(pid for pid, line in processes_of(home).items() if f"lean_lite_{name}" in line)


async def test_live_without_keys_starts_nothing_and_names_both_solutions(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LEAN_LITE_FEED")
    with pytest.raises(ConfigError, match=r"APCA_API_KEY_ID.*LEAN_LITE_FEED=simulator"):
        await join_stack(Config())
    assert not (home / "live").exists()
    assert processes_of(home) == {}


async def test_another_mode_or_feed_is_refused_with_what_to_do(home: Path) -> None:
    keys = {"key_id": "mine", "secret_key": "secret"}
    async with joined():
        live = Config().replace(stack={"feed": "alpaca"}, alpaca=keys)
        with pytest.raises(StackError, match=r"demo stack runs.*lean-lite down.*stack\.folder"):
            await join_stack(live)
        with pytest.raises(StackError, match=r"feed iex, not sip.*lean-lite down.*stack\.folder"):
            await join_stack(Config().replace(alpaca={"feed": "sip"}))
        refused = await asyncio.to_thread(run, "up", LEAN_LITE_ALPACA__FEED="sip")
        shows("a stack of another mode, feed or account", refused.stderr, refused.returncode)


async def test_another_account_is_refused_even_after_the_supervisor_is_killed(
    home: Path,
) -> None:
    async with Simulator(SimulatorSettings(keys={"mine": "secret"}, start="last")) as alpaca:
        urls = {"rest_url": alpaca.rest_url, "stream_url": alpaca.stream_url}
        mine = Config().replace(
            stack={"feed": "alpaca"}, alpaca={"key_id": "mine", "secret_key": "secret", **urls}
        )
        other = mine.replace(alpaca={"key_id": "other"})
        membership = await join_stack(mine)
        refusal = r"serves account \w{12}, not \w{12}.*lean-lite down.*stack\.folder"
        with pytest.raises(StackError, match=refusal):
            await join_stack(other)
        owner = membership.facts["pid"]
        os.kill(owner, signal.SIGKILL)
        with pytest.raises(StackError, match=refusal):
            await join_stack(other)
        await until(lambda: membership.facts["pid"] != owner, "another supervisor")
        assert "mine" not in (home / "live" / "stack.json").read_text()
        await membership.leave()


async def test_a_stack_starts_although_alpaca_can_not_be_reached(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    urls = {"rest_url": f"http://{LOCALHOST}:{port}", "stream_url": f"ws://{LOCALHOST}:{port}"}
    config = live(urls)
    membership = await join_stack(config)
    shows("Alpaca can't be reached", caplog.text)
    tailing = await asyncio.create_subprocess_exec(
        *(*COMMAND, "tail", "SPY"),
        env={**os.environ, **config.environment()},
        stderr=asyncio.subprocess.PIPE,
    )
    assert tailing.stderr is not None
    line = await asyncio.wait_for(tailing.stderr.readline(), 60)
    assert re.match(
        rb"no bar yet: ingest: the feed (iex|us) is not connected: .*refused", line, re.IGNORECASE
    )
    tailing.terminate()
    await tailing.communicate()
    await membership.leave()


async def test_a_stack_starts_with_keys_that_alpaca_refuses(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Simulator(SimulatorSettings(keys={"mine": "secret"}, start="last")) as alpaca:
        urls = {"rest_url": alpaca.rest_url, "stream_url": alpaca.stream_url}
        membership = await join_stack(live(urls).replace(alpaca={"secret_key": "wrong"}))
        shows("wrong keys, at the start (402)", caplog.text)
        assert "Traceback" not in caplog.text
        await membership.leave()


def live(urls: dict[str, str]) -> Config:
    """Return the settings of an account at these URLs, with a symbol subscribed at startup."""
    return Config().replace(
        stack={"feed": "alpaca"},
        ingest={"symbols": ("SPY",)},
        alpaca={"key_id": "mine", "secret_key": "secret", **urls},
    )


async def test_a_failed_start_raises_its_own_message_and_leaves_no_process(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAN_LITE_STACK__NATS_SERVER", "/nowhere/nats-server")
    with pytest.raises(StackError, match=r"could not start: .*/nowhere/nats-server"):
        await join_stack(Config())
    await until(lambda: not processes_of(home), "the end of all processes")
