"""The import contracts in pyproject.toml hold, and each of them catches what it is there for."""

import os
import shutil
import subprocess
import sys
import tomllib
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

VIOLATIONS = [
    ("A file imports only downwards", f"{LIBRARY}/errors.py", "import lean_lite.cli"),
    ("A file imports only downwards", f"{LIBRARY}/messages.py", "import lean_lite.config"),
    (
        "A file imports only downwards",
        f"{LIBRARY}/market/symbols.py",
        "import lean_lite.algorithm.data_models",
    ),
    ("A file imports only downwards", f"{LIBRARY}/utils.py", "import os"),
    (
        "Services and the simulator never import one another",
        "services/ingest/lean_lite_ingest/__init__.py",
        "import lean_lite_store",
    ),
    (
        "Services and the simulator never import one another",
        "services/metrics/lean_lite_metrics/__init__.py",
        "import lean_lite_sim",
    ),
    (
        "The library imports neither services nor the simulator",
        f"{LIBRARY}/stack/__init__.py",
        "def start():\n    import lean_lite_sim",
    ),
    (
        "The simulator stands alone",
        "libs/simulator/lean_lite_sim/__init__.py",
        "import lean_lite.errors",
    ),
    ("Only ingest imports alpaca", f"{LIBRARY}/data/__init__.py", "import alpaca.data.live"),
    (
        "Only the store and data.persistence import apsw",
        f"{LIBRARY}/blocks/__init__.py",
        "import apsw",
    ),
    (
        "Only the store imports redis",
        "services/validate/lean_lite_validate/__init__.py",
        "import redis.asyncio",
    ),
    ("Only data imports pandas", f"{LIBRARY}/messages.py", "import pandas"),
    (
        "Only metrics and the simulator import starlette and uvicorn",
        f"{LIBRARY}/service/__init__.py",
        "from starlette.applications import Starlette",
    ),
]


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Return a copy of the source tree in which a test may break something."""
    for folder in ("libs", "services"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("*.gz"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint_imports(house: Path) -> "subprocess.CompletedProcess[str]":
    # The copy has to come before the distributions installed from the original.
    distributions = [path.parent for path in house.glob("*/*/pyproject.toml")]
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=house,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, distributions)), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_house_is_in_order(house: Path) -> None:
    result = lint_imports(house)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(("contract", "file", "line"), VIOLATIONS)
def test_a_planted_import_breaks_exactly_its_contract(
    house: Path, contract: str, file: str, line: str
) -> None:
    planted = house / file
    before = planted.read_text() if planted.exists() else ""
    planted.write_text(f"{before}\n{line}\n")
    result = lint_imports(house)
    assert result.returncode == 1, result.stdout + result.stderr
    broken = [name for name in CONTRACTS if f"{name} BROKEN" in result.stdout]
    assert broken == [contract], result.stdout


def test_every_contract_has_a_planted_violation() -> None:
    assert {contract for contract, _, _ in VIOLATIONS} == set(CONTRACTS)
