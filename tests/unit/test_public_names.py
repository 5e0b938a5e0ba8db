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
NEEDS = {"DataPersistence": {"apsw"}}  # heavy packages that a name can't do without
MODULES = [
    module.name
    for module in pkgutil.walk_packages(lean_lite.__path__, "lean_lite.")
    if module.ispkg
]
PUBLIC_PACKAGES = [name for name in MODULES if hasattr(importlib.import_module(name), "__all__")]
LAZY = {"lean_lite.data", "lean_lite.data.persistence", "lean_lite.protocol"}
COMMANDS = {"lean_lite.cli"}  # has one entry point, next to the names that it imports


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


def test_public_packages_are_found() -> None:
    assert {"lean_lite.blocks", "lean_lite.config", "lean_lite.data"} <= set(PUBLIC_PACKAGES)


@pytest.mark.parametrize("name", PUBLIC_PACKAGES)
def test_a_package_lists_its_public_names_sorted(name: str) -> None:
    names = importlib.import_module(name).__all__
    assert names == sorted(set(names), key=ranked)


@pytest.mark.parametrize("name", PUBLIC_PACKAGES)
def test_a_package_has_every_name_that_it_lists(name: str) -> None:
    package = importlib.import_module(name)
    for listed in package.__all__:
        assert getattr(package, listed) is not None


@pytest.mark.parametrize("name", sorted(set(PUBLIC_PACKAGES) - LAZY - COMMANDS))
def test_a_package_lists_every_public_name(name: str) -> None:
    package = importlib.import_module(name)
    public = {
        key
        for key, value in vars(package).items()
        if not key.startswith("_") and not isinstance(value, ModuleType)
    }
    assert set(package.__all__) == public


@pytest.mark.parametrize("package", [lean_lite.data, lean_lite.protocol])
def test_a_lazy_package_lists_every_name_that_it_can_load(package: ModuleType) -> None:
    assert set(package.__all__) == set(package._HOMES)


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


def test_a_lazily_loaded_name_is_the_object_of_its_module() -> None:
    from lean_lite.data.engine import DataEngine

    assert lean_lite.data.DataEngine is DataEngine


def test_the_data_package_exports_the_data_models_of_the_specification() -> None:
    from lean_lite.algorithm import data_models

    for name in ("DataQualityLevel", "Resolution", "TradeBar"):
        assert getattr(lean_lite.data, name) is getattr(data_models, name)


def test_the_package_has_the_engine_and_its_version() -> None:
    assert lean_lite.__all__ == sorted(lean_lite._HOMES)
    assert lean_lite.DataEngine is lean_lite.data.DataEngine
    assert lean_lite.__version__ == version("lean-lite")
    with pytest.raises(AttributeError, match="'lean_lite' has no attribute 'Engine'"):
        _ = lean_lite.Engine


def test_importing_lean_lite_loads_no_dependencies() -> None:
    loaded = modules_after("import lean_lite")
    assert loaded.isdisjoint({*HEAVY, "msgspec", "nats", "numpy"})


def test_an_unknown_name_of_a_lazy_package_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Engine'"):
        _ = lean_lite.data.Engine
    with pytest.raises(AttributeError, match="has no attribute 'Problem'"):
        _ = lean_lite.protocol.Problem


def test_importing_lean_lite_data_loads_no_dependencies() -> None:
    loaded = modules_after("import lean_lite.data")
    assert loaded.isdisjoint({*HEAVY, "msgspec", "nats", "numpy"})


def test_subjects_and_the_bus_load_no_numpy() -> None:
    assert "numpy" not in modules_after("import lean_lite.bus, lean_lite.protocol.subjects")


@pytest.mark.parametrize("listed", lean_lite.data.__all__)
def test_a_public_name_of_data_loads_only_the_heavy_packages_it_needs(listed: str) -> None:
    loaded = modules_after(f"from lean_lite.data import {listed}")
    assert "msgspec" in loaded
    assert loaded & set(HEAVY) == NEEDS.get(listed, set())


@pytest.mark.parametrize("name", MODULES)
def test_importing_a_package_loads_no_heavy_packages(name: str) -> None:
    assert modules_after(f"import {name}").isdisjoint(HEAVY)
