"""The images and the compose files, run as docs/compose.md says."""

import asyncio
import logging
import os
import re
import secrets
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest

from lean_lite.cli.tail import TailBar
from lean_lite.config import BusConfig, Config
from lean_lite.config.sections import Secret
from lean_lite.stack.processes.ports import LOCALHOST, free_port
from tests.harness.brokers import refuse
from tests.harness.paths import ROOT
from tests.harness.pipeline import Pipeline
from tests.harness.waiting import until

DEMO = ROOT / "docker-compose.yml"
LIVE = ROOT / "docker-compose.live.yml"
KEYS = {"APCA_API_KEY_ID": "key", "APCA_API_SECRET_KEY": "secret"}
SERVICES = ("ingest", "validate", "store", "metrics")
IMAGES = "lean-lite-test"
# Lets the test ask the simulator for its recording.
PUBLISHED = 'services: { simulator: { ports: ["127.0.0.1:${SIMULATOR_PORT}:8080"] } }\n'
BUILD_S = 540
START_S = 60.0

log = logging.getLogger(__name__)

pytestmark = [
    pytest.mark.containers,
    pytest.mark.system,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("containers"),
]


def version_of(command: list[str]) -> str:
    """Return the version of a Compose, or nothing when it is not installed."""
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run([*command, "version"], capture_output=True, text=True, check=False)
    found = re.search(r"version v?(\d+\.\d+)", done.stdout)
    return found[1] if found and done.returncode == 0 else ""


def composes() -> dict[str, list[str]]:
    """Return the commands by major version; COMPOSE_V2 may name a program."""
    named = os.environ.get("COMPOSE_V2")
    commands = [["docker-compose"], ["docker", "compose"], *([[named]] if named else [])]
    versions = {version_of(command).partition(".")[0]: command for command in commands}
    return {f"v{major}": command for major, command in versions.items() if major}


def environment(**changes: str) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("APCA_")}
    return {**kept, **changes}


class Compose:
    """One Compose project with names, ports and volumes of its own."""

    def __init__(self, command: list[str], folder: Path) -> None:
        ports = {name: free_port() for name in ("NATS_PORT", "METRICS_PORT", "SIMULATOR_PORT")}
        published = folder / "published.yml"
        published.write_text(PUBLISHED)
        self.config = Config().replace(
            bus={"url": f"nats://{LOCALHOST}:{ports['NATS_PORT']}"},
            alpaca={"rest_url": f"http://{LOCALHOST}:{ports['SIMULATOR_PORT']}"},
        )
        self.started_at = 0.0
        self._status = f"http://{LOCALHOST}:{ports['METRICS_PORT']}/api/status"
        project = f"leanlitetest{secrets.token_hex(4)}"
        self._command = [*command, "-p", project, "-f", str(DEMO), "-f", str(published)]
        self._environment = environment(
            IMAGES=IMAGES, BUILD_NETWORK="host", **{name: str(port) for name, port in ports.items()}
        )

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._command, *arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=BUILD_S,
        )
        output = f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        assert done.returncode == 0, f"{' '.join(arguments)}: {output}"
        return done.stdout

    async def call(self, *arguments: str) -> str:
        return await asyncio.to_thread(self, *arguments)

    def remove(self) -> None:
        self("down", "--volumes", "--remove-orphans", "--timeout", "5")

    def bus_config(self, role: str) -> BusConfig:
        path = f"/stack/{role}/password"
        password = self("run", "--rm", "-T", "--entrypoint", "cat", "client", path)
        return self.config.replace(bus={"user": role, "password": Secret(password)}).bus

    def role_config(self, role: str) -> Config:
        assert role == "client"
        output = self("run", "--rm", "-T", "client")
        settings = dict(line.split("=", 1) for line in output.splitlines())
        names = {key: f"LEAN_LITE_BUS__{key.upper()}" for key in ("url", "user", "password")}
        return self.config.replace(bus={key: settings[name] for key, name in names.items()})

    async def stop_child(self, name: str) -> None:
        await self.call("stop", name)

    def ready(self, **replicas: int) -> bool:
        """Return whether this many instances of each service are ready."""
        try:
            status = msgspec.json.decode(urllib.request.urlopen(self._status, timeout=5).read())
        except OSError:
            return False
        states = [(found["service"], found["state"]) for found in status["instances"]]
        wanted = {"ingest": 1, "validate": 1, "store": 1, **replicas}
        return all(states.count((name, "ready")) == count for name, count in wanted.items())

    async def __aenter__(self) -> Self:
        self.started_at = time.monotonic()
        await self.call("up", "-d")
        await until(self.ready, "the services to be ready", START_S)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.call("stop", "--timeout", "10")


class ComposedPipeline(Pipeline):
    """The pipeline in containers, with the same strategies and the same checks."""

    stack: Any

    def __init__(self, compose: Compose) -> None:
        self.stack = compose
        self.strategies = []
        self._strategy_count = 1
        self._resources = AsyncExitStack()


@pytest.fixture(scope="module")
def command() -> list[str]:
    found = composes()
    if not found or shutil.which("docker") is None:
        refuse("there is no docker, or neither docker-compose nor docker compose")
    return found.get("v1") or found["v2"]


@pytest.fixture(scope="module")
def images(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Build the images of the services; remove them at the end, but keep their base layers."""
    for name, image in re.findall(r"\$\{(\w+_IMAGE):-([^}]+)\}", DEMO.read_text("utf-8")):
        wanted = os.environ.get(name) or image
        for verb in (["image", "inspect"], ["pull"]):
            done = subprocess.run(
                ["docker", *verb, wanted], capture_output=True, text=True, check=False
            )
            if done.returncode == 0:
                break
        else:
            refuse(f"{wanted} is not here and can't be pulled; {name} may name another image")
    build = Compose(command, tmp_path_factory.mktemp("build"))
    build("build", "setup")  # first, so that the layers that all share are built once
    build("build", "--parallel")
    yield
    names = [f"{IMAGES}/{name}" for name in (*SERVICES, "simulator", "setup")]
    subprocess.run(["docker", "image", "rm", *names], capture_output=True, check=False)


@pytest.fixture
def compose(command: list[str], images: None, tmp_path: Path) -> Iterator[Compose]:
    compose = Compose(command, tmp_path)
    try:
        yield compose
    finally:
        compose.remove()


@pytest.fixture(params=["v1", "v2"])
def any_command(request: pytest.FixtureRequest) -> list[str]:
    found = composes()
    if request.param not in found:
        refuse(f"there is no Compose {request.param} here")
    return found[request.param]


def config_of(command: list[str], *files: Path, **variables: str) -> str:
    """Return the services as Compose reads them, without the list of volumes."""
    named = [part for file in files for part in ("-f", str(file))]
    done = subprocess.run(
        [*command, *named, "config"],
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ValueError(done.stderr)
    return done.stdout.split("\nvolumes:")[0]


def test_demo_and_live_never_share_a_volume(any_command: list[str]) -> None:
    demo = config_of(any_command, DEMO)
    live = config_of(any_command, DEMO, LIVE, **KEYS)
    volumes = re.compile(r"\b(demo|live)-(\w+)")
    assert {kind for kind, _ in volumes.findall(demo)} == {"demo"}
    assert {kind for kind, _ in volumes.findall(live)} == {"live"}
    assert {name for _, name in volumes.findall(demo)} == {n for _, n in volumes.findall(live)}


def test_live_uses_the_keys_and_never_the_simulator(any_command: list[str]) -> None:
    live = config_of(any_command, DEMO, LIVE, **KEYS)
    ingest = live.partition("\n  ingest:")[2]
    assert re.search(r"LEAN_LITE_ALPACA__KEY_ID: key\n", ingest)
    assert re.search(r"LEAN_LITE_ALPACA__SECRET_KEY: secret\n", ingest)
    assert re.search(r"LEAN_LITE_ALPACA__SIMULATED: ['\"]false['\"]\n", ingest)
    assert "http://simulator" not in live
    assert "ws://simulator" not in live


def test_ingest_and_store_use_the_same_feed(any_command: list[str]) -> None:
    changes = {**KEYS, "LEAN_LITE_ALPACA__FEED": "sip"}
    for files, feeds in (((DEMO,), []), ((DEMO, LIVE), ["sip"])):
        services = config_of(any_command, *files, **changes)
        for name in ("ingest", "store"):
            service = re.split(r"\n  \w+:\n", services.partition(f"\n  {name}:\n")[2])[0]
            assert re.findall(r"ALPACA__FEED: (\w+)\n", service) == feeds
            (simulated,) = re.findall(r"ALPACA__SIMULATED: ['\"](\w+)['\"]\n", service)
            assert simulated == ("false" if feeds else "true")


def test_the_error_for_live_without_keys_names_both_solutions(any_command: list[str]) -> None:
    with pytest.raises(ValueError, match=r"set APCA_API_(KEY_ID|SECRET_KEY), or run the demo"):
        config_of(any_command, DEMO, LIVE)


def test_every_port_is_published_on_localhost_only() -> None:
    files = "\n".join(path.read_text("utf-8") for path in (DEMO, LIVE))
    published = re.findall(r"^ *ports: (.*)$", files, re.MULTILINE)
    assert published
    assert all(ports.startswith('["127.0.0.1:') for ports in published)


def test_the_dockerfile_and_the_compose_file_name_the_same_python() -> None:
    (named,) = re.findall(
        r"^ARG PYTHON_IMAGE=(.+)$", (ROOT / "services/Dockerfile").read_text(), re.MULTILINE
    )
    assert f"${{PYTHON_IMAGE:-{named}}}" in DEMO.read_text("utf-8")


def test_every_service_has_only_its_own_password(compose: Compose) -> None:
    compose("up", "setup")
    passwords = set()
    for name in SERVICES:
        run = ["run", "--rm", "-T", "--no-deps", "--entrypoint"]
        found = compose(*run, "find", name, "/data", "/stack", "-name", "password")
        assert found.split() == ["/data/password"]
        passwords.add(compose(*run, "cat", name, "/data/password"))
    assert len(passwords) == len(SERVICES)


async def test_no_bar_is_lost_or_duplicated_when_replicas_join(compose: Compose) -> None:
    async with ComposedPipeline(compose) as pipeline:
        bars = pipeline.strategies[0].bars
        await pipeline.strategies[0].wait_for_bars(limit_s=START_S)
        log.info("the first bar came %.1f s after up", time.monotonic() - compose.started_at)
        assert bars[0].quality == "EXCELLENT"
        assert all(bar.simulated for bar in bars)
        await compose.call("up", "-d", "--scale", "validate=3", "--scale", "store=2")
        await until(lambda: compose.ready(validate=3, store=2), "all replicas", START_S)
        await asyncio.sleep(5)
        await pipeline.flowing()
        await pipeline.refilled()
        await pipeline.settle()
        await pipeline.check_truth(minimum=60)
        await pipeline.check_delivery()


async def some_bars(compose: Compose) -> list[TailBar]:
    """Start, wait for some bars, stop; return them."""
    async with ComposedPipeline(compose) as pipeline:
        bars = pipeline.strategies[0].bars
        await pipeline.strategies[0].wait_for_bars(30, START_S)
        return list(bars)


async def test_a_second_demo_replays_the_same_days_from_the_start(compose: Compose) -> None:
    first, second = await some_bars(compose), await some_bars(compose)
    assert min(bar.start_ns for bar in first) == min(bar.start_ns for bar in second)
    # A stream that continued would start after all of these.
    assert min(bar.seq for bar in second) < max(bar.seq for bar in first)
