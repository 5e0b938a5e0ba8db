"""The import contracts in pyproject.toml hold, and each of them detects a violation."""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.harness.paths import ROOT

CONTRACTS = [
    contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
]
LIBRARY = "libs/common/lean_lite"
SIMULATOR = "libs/simulator/lean_lite_sim"
INGEST = "services/ingest/lean_lite_ingest"
METRICS = "services/metrics/lean_lite_metrics"
STORE = "services/store/lean_lite_store"
VALIDATE = "services/validate/lean_lite_validate"

# A contract, the line that is planted, and how import-linter names what the line breaks.
VIOLATIONS = [
    (
        "The library imports downwards",
        f"{LIBRARY}/errors.py",
        "import lean_lite.cli.app",
        "lean_lite.errors is not allowed to import lean_lite.cli",
    ),
    (
        "The library imports downwards",
        f"{LIBRARY}/protocol/live.py",
        "import lean_lite.config.keys",
        "lean_lite.protocol is not allowed to import lean_lite.config",
    ),
    (
        "The library imports downwards",
        f"{LIBRARY}/market/symbols.py",
        "import lean_lite.blocks.codec",
        "lean_lite.market is not allowed to import lean_lite.blocks",
    ),
    (
        "The client imports downwards",
        f"{LIBRARY}/data/bars/chart.py",
        "import lean_lite.data.history.query",
        "lean_lite.data.bars is not allowed to import lean_lite.data.history",
    ),
    (
        "The client imports downwards",
        f"{LIBRARY}/data/live/queue.py",
        "import lean_lite.data.streams.reader",
        "lean_lite.data.live is not allowed to import lean_lite.data.streams",
    ),
    (
        "The stack imports downwards",
        f"{LIBRARY}/stack/files.py",
        "import lean_lite.stack.folder",
        "lean_lite.stack.files is not allowed to import lean_lite.stack.folder",
    ),
    (
        "Ingest imports downwards",
        f"{INGEST}/backfill.py",
        "import lean_lite_ingest.alpaca.rest",
        "lean_lite_ingest.backfill is not allowed to import lean_lite_ingest.alpaca",
    ),
    (
        "Validate imports downwards",
        f"{VALIDATE}/live_publisher.py",
        "import lean_lite_validate.lane_grader",
        "lean_lite_validate.live_publisher is not allowed to import lean_lite_validate.lane_grader",
    ),
    (
        "The store imports downwards",
        f"{STORE}/storage/journal.py",
        "import lean_lite_store.intake.queue",
        "lean_lite_store.storage is not allowed to import lean_lite_store.intake",
    ),
    (
        "Metrics imports downwards",
        f"{METRICS}/instances.py",
        "import lean_lite_metrics.routes",
        "lean_lite_metrics.instances is not allowed to import lean_lite_metrics.routes",
    ),
    (
        "The simulator imports downwards",
        f"{SIMULATOR}/market/bar.py",
        "import lean_lite_sim.rest.replies",
        "lean_lite_sim.market is not allowed to import lean_lite_sim.rest",
    ),
    (
        "Only users import the specification's path of the types",
        f"{LIBRARY}/quality/checks.py",
        "import lean_lite.algorithm.data_models",
        "lean_lite.quality is not allowed to import lean_lite.algorithm",
    ),
    (
        "Services and the simulator never import one another",
        f"{INGEST}/__init__.py",
        "import lean_lite_store",
        "lean_lite_ingest is not allowed to import lean_lite_store",
    ),
    (
        "Services and the simulator never import one another",
        f"{METRICS}/__init__.py",
        "import lean_lite_sim",
        "lean_lite_metrics is not allowed to import lean_lite_sim",
    ),
    (
        "The library imports neither services nor the simulator",
        f"{LIBRARY}/stack/identity.py",
        "def start():\n    import lean_lite_sim",
        "lean_lite is not allowed to import lean_lite_sim",
    ),
    (
        "The simulator stands alone",
        f"{SIMULATOR}/settings.py",
        "import lean_lite.version",
        "lean_lite_sim is not allowed to import lean_lite",
    ),
    (
        "Only ingest imports alpaca",
        f"{LIBRARY}/data/feed.py",
        "import alpaca.data.live",
        "lean_lite is not allowed to import alpaca",
    ),
    (
        "Only the store and data.persistence import apsw",
        f"{LIBRARY}/blocks/codec.py",
        "import apsw",
        "lean_lite is not allowed to import apsw",
    ),
    (
        "Only the store imports redis",
        f"{VALIDATE}/stream_pairs.py",
        "import redis.asyncio",
        "lean_lite_validate is not allowed to import redis",
    ),
    (
        "Only data imports pandas",
        f"{LIBRARY}/protocol/history.py",
        "import pandas",
        "lean_lite is not allowed to import pandas",
    ),
    (
        "Only metrics and the simulator import starlette and uvicorn",
        f"{LIBRARY}/service/health.py",
        "from starlette.applications import Starlette",
        "lean_lite is not allowed to import starlette",
    ),
]


def lint_imports(root: Path) -> "subprocess.CompletedProcess[str]":
    # The copy has to come before the distributions installed from the original.
    distributions = [path.parent for path in root.glob("*/*/pyproject.toml")]
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=root,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, distributions)), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def planted_copy(folder: Path, plants: Iterable[tuple[str, str]]) -> Path:
    """Copy the sources and append lines to files of the copy."""
    for name in ("libs", "services"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.gz"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for file, line in plants:
        path = folder / file
        path.write_text(f"{path.read_text()}\n{line}\n")
    return folder


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the output of import-linter for a copy that has every violation at once."""
    plants = [(file, line) for _, file, line, _ in VIOLATIONS]
    result = lint_imports(planted_copy(tmp_path_factory.mktemp("planted"), plants))
    assert result.returncode == 1, result.stdout + result.stderr
    return result.stdout


def test_the_contracts_hold() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_module_outside_every_layer_is_refused(tmp_path: Path) -> None:
    root = planted_copy(tmp_path, [])
    (root / LIBRARY / "utils.py").write_text("import os\n")
    result = lint_imports(root)
    assert result.returncode == 1
    assert "lean_lite.utils" in result.stdout + result.stderr


@pytest.mark.parametrize(("contract", "file", "line", "broken"), VIOLATIONS)
def test_a_planted_import_breaks_its_contract(
    planted: str, contract: str, file: str, line: str, broken: str
) -> None:
    reported = planted.partition("Broken contracts")[2]
    section = reported.partition(f"{contract}\n")[2].partition("\n----")[0]
    assert broken in section, reported[-4_000:]


def test_every_contract_has_a_planted_violation() -> None:
    assert {contract for contract, *_ in VIOLATIONS} == set(CONTRACTS)
