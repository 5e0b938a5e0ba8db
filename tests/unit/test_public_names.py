import importlib
import pkgutil
import subprocess
import sys
from importlib.metadata import version
from types import ModuleType

import msgspec
import pytest

import lean_lite
import lean_lite.data
import lean_lite.protocol

HEAVY = ("alpaca", "apsw", "pandas", "redis")
NEEDS = {"DataPersistence": {"apsw"}}  # what a part is made of
MODULES = [
    module.name
    for module in pkgutil.walk_packages(lean_lite.__path__, "lean_lite.")
    if module.ispkg
]
FACES = [name for name in MODULES if hasattr(importlib.import_module(name), "__all__")]
LAZY = {"lean_lite.data", "lean_lite.data.persistence", "lean_lite.protocol"}
COMMANDS = {"lean_lite.cli"}  # one entry point, among the names that it needs


def ranked(name: str) -> tuple[int, str]:
    """Rank constants before classes before functions, as ruff does."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2), name


def modules_after(code: str) -> set[str]:
    """Return the top-level packages that a fresh interpreter has loaded after some code."""
    show = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, check=True
    )
    return set(result.stdout.split())


def test_the_faces_are_found() -> None:
    assert {"lean_lite.blocks", "lean_lite.config", "lean_lite.data"} <= set(FACES)


@pytest.mark.parametrize("name", FACES)
def test_a_face_lists_its_names_sorted(name: str) -> None:
    names = importlib.import_module(name).__all__
    assert names == sorted(set(names), key=ranked)


@pytest.mark.parametrize("name", FACES)
def test_a_face_has_what_it_lists(name: str) -> None:
    face = importlib.import_module(name)
    for listed in face.__all__:
        assert getattr(face, listed) is not None


@pytest.mark.parametrize("name", sorted(set(FACES) - LAZY - COMMANDS))
def test_a_face_lists_everything_public(name: str) -> None:
    face = importlib.import_module(name)
    public = {
        key
        for key, value in vars(face).items()
        if not key.startswith("_") and not isinstance(value, ModuleType)
    }
    assert set(face.__all__) == public


@pytest.mark.parametrize("face", [lean_lite.data, lean_lite.protocol])
def test_the_lazy_face_lists_every_name_that_has_a_home(face: ModuleType) -> None:
    assert set(face.__all__) == set(face._HOMES)


def test_the_protocol_lists_every_message_type() -> None:
    modules = [
        importlib.import_module(module.name)
        for module in pkgutil.iter_modules(lean_lite.protocol.__path__, "lean_lite.protocol.")
    ]
    messages = {
        value.__name__
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, msgspec.Struct)
        and value.__module__ == module.__name__
    }
    assert messages <= set(lean_lite.protocol.__all__)


def test_a_lazy_name_is_the_one_of_its_module() -> None:
    from lean_lite.data.engine import DataEngine

    assert lean_lite.data.DataEngine is DataEngine


def test_what_a_strategy_handles_is_found_beside_what_it_works_with() -> None:
    from lean_lite.algorithm import data_models

    for name in ("DataQualityLevel", "Resolution", "TradeBar"):
        assert getattr(lean_lite.data, name) is getattr(data_models, name)


def test_the_package_has_the_engine_and_its_version() -> None:
    assert lean_lite.__all__ == sorted(lean_lite._HOMES)
    assert lean_lite.DataEngine is lean_lite.data.DataEngine
    assert lean_lite.__version__ == version("lean-lite")
    with pytest.raises(AttributeError, match="'lean_lite' has no attribute 'Engine'"):
        _ = lean_lite.Engine


def test_the_package_loads_nothing_by_itself() -> None:
    loaded = modules_after("import lean_lite")
    assert loaded.isdisjoint({*HEAVY, "msgspec", "nats", "numpy"})


def test_a_lazy_face_refuses_other_names() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Engine'"):
        _ = lean_lite.data.Engine
    with pytest.raises(AttributeError, match="has no attribute 'Problem'"):
        _ = lean_lite.protocol.Problem


def test_the_face_of_data_loads_nothing_by_itself() -> None:
    loaded = modules_after("import lean_lite.data")
    assert loaded.isdisjoint({*HEAVY, "msgspec", "nats", "numpy"})


def test_subjects_and_the_bus_load_no_numpy() -> None:
    assert "numpy" not in modules_after("import lean_lite.bus, lean_lite.protocol.subjects")


@pytest.mark.parametrize("listed", lean_lite.data.__all__)
def test_what_a_strategy_uses_loads_nothing_heavy(listed: str) -> None:
    loaded = modules_after(f"from lean_lite.data import {listed}")
    assert "msgspec" in loaded
    assert loaded & set(HEAVY) == NEEDS.get(listed, set())


@pytest.mark.parametrize("name", MODULES)
def test_no_package_loads_anything_heavy(name: str) -> None:
    assert modules_after(f"import {name}").isdisjoint(HEAVY)
