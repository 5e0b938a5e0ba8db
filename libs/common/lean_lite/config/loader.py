"""
Read the configuration: one optional TOML file, and the environment above it.

Every key can stand in the file as `[section] key` and in the environment as
`LEAN_LITE_SECTION__KEY`. The file is named by `LEAN_LITE_CONFIG`, else it is `lean-lite.toml` in
the working folder when that exists. Alpaca's own `APCA_API_KEY_ID` and `APCA_API_SECRET_KEY` work,
and `LEAN_LITE_FEED` is short for `LEAN_LITE_STACK__FEED`.
A secret may stand in a file of its own, named by its variable with `_FILE` behind.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import msgspec

from lean_lite.config.keys import ALIASES, FILE_VARIABLE, PREFIX, SECTIONS, types_of, variable_of
from lean_lite.config.sections import (
    AlpacaConfig,
    BusConfig,
    IngestConfig,
    MetricsConfig,
    Secret,
    Section,
    ServiceConfig,
    StackConfig,
    StoreConfig,
    StreamsConfig,
    ValidateConfig,
)
from lean_lite.config.suggestions import (
    bad_value,
    unknown_in_file,
    unknown_key,
    unknown_section,
    unknown_variable,
)
from lean_lite.errors import ConfigError

IN_FILE = "_file"
IN_CODE = "code"
# What is read elsewhere: by the tests.
FOREIGN = {PREFIX + name for name in ("SOAK", "REQUIRE_CONTAINERS", "SPECIFICATION")}


class SettingSource(NamedTuple):
    """Say which setting is in force, its value and where it came from."""

    key: str
    value: object
    origin: str


class Config:
    """
    Hold every setting, one attribute per section; frozen by its sections.

    `Config()` reads the file and the environment. Sections can be given by keyword instead:
    `Config(bus=BusConfig(url=...))`. ConfigError names an unknown or bad setting.
    """

    alpaca: AlpacaConfig
    bus: BusConfig
    streams: StreamsConfig
    ingest: IngestConfig
    validate: ValidateConfig
    store: StoreConfig
    metrics: MetricsConfig
    service: ServiceConfig
    stack: StackConfig

    def __init__(self, **sections: Section) -> None:
        """Read what the keywords do not give."""
        found = _read(os.environ)
        self._origins = {key: origin for key, (_, origin) in found.items()}
        for name, one in sections.items():
            _check_section(name, one)
        for name, section in SECTIONS.items():
            given = sections.get(name)
            setattr(self, name, section(**_values(name, found)) if given is None else given)
            if given is not None:
                self._origins |= {(name, key): IN_CODE for key in given.__struct_fields__}

    def replace(self, **changes: Mapping[str, object]) -> Self:
        """
        Return a copy with some keys of some sections changed: `replace(bus={"url": ...})`.

        ConfigError names an unknown or bad setting.
        """
        copy = self.__class__.__new__(self.__class__)
        copy.__dict__ = dict(self.__dict__)
        copy._origins = dict(self._origins)  # noqa: SLF001 - it is a copy of ours
        for name, keys in changes.items():
            changed = _in_code(name, keys)
            copy._origins |= {(name, key): IN_CODE for key in changed}  # noqa: SLF001
            setattr(copy, name, msgspec.structs.replace(getattr(self, name), **changed))
        return copy

    def sources(self) -> list[SettingSource]:
        """Return every setting in force with the place it came from; secrets are masked."""
        return [
            SettingSource(f"{name}.{key}", value, self._origins.get((name, key), "default"))
            for name in SECTIONS
            for key, value in msgspec.structs.asdict(getattr(self, name)).items()
        ]

    def environment(self) -> dict[str, str]:
        """Return the environment variables that give a child process these settings."""
        return {
            variable_of(*source.key.split(".")): _as_text(source.value) for source in self.sources()
        }

    def __repr__(self) -> str:
        """Return all sections, secrets masked."""
        return f"Config({', '.join(f'{name}={getattr(self, name)!r}' for name in SECTIONS)})"


Found = dict[tuple[str, str], tuple[Any, str]]


def _read(environ: Mapping[str, str]) -> Found:
    return _from_file(environ) | _from_environment(environ)


def _from_file(environ: Mapping[str, str]) -> Found:
    named = environ.get(FILE_VARIABLE)
    path = Path(named or "lean-lite.toml")
    if not path.is_file():
        if named:
            raise ConfigError(FILE_VARIABLE, f"there is no file {path}")
        return {}
    try:
        tree = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"is not TOML: {error}") from error
    found: Found = {}
    for name, keys in tree.items():
        if name not in SECTIONS:
            advise = unknown_section if isinstance(keys, dict) else unknown_in_file
            raise advise(name, str(path))
        if not isinstance(keys, dict):
            raise ConfigError(name, f"must be a table: [{name}] (from {path})")
        for key, value in keys.items():
            found[name, key] = (value, f"{path} [{name}]")
    return found


def _from_environment(environ: Mapping[str, str]) -> Found:
    found: Found = {
        place: (environ[variable], variable)
        for variable, place in ALIASES.items()
        if environ.get(variable)
    }
    for variable, text in environ.items():
        if not variable.startswith(PREFIX) or variable in {*ALIASES, *FOREIGN, FILE_VARIABLE}:
            continue
        name, _, key = variable.removeprefix(PREFIX).lower().partition("__")
        if not key or name not in SECTIONS:
            raise unknown_variable(variable)
        secret = key.removesuffix(IN_FILE)
        if secret != key and types_of(name).get(secret) is Secret:
            found[name, secret] = (_in_file(variable, environ, f"{name}.{secret}"), variable)
        else:
            found[name, key] = (text, variable)
    return found


def _in_file(variable: str, environ: Mapping[str, str], key: str) -> str:
    plain = variable[: -len(IN_FILE)]
    if plain in environ:
        raise ConfigError(key, f"is given twice: unset {plain} or {variable}")
    path = environ[variable]
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(key, f"{path} can't be read: {error} (from {variable})") from error


def _check_section(name: str, given: object) -> None:
    if name not in SECTIONS:
        raise unknown_section(name)
    wanted = SECTIONS[name]
    if not isinstance(given, wanted):
        advice = f"`Config().replace({name}={{...}})` changes single settings"
        raise ConfigError(name, f"must be a {wanted.__name__}; {advice}")


def _in_code(name: str, keys: object) -> dict[str, Any]:
    if name not in SECTIONS:
        raise unknown_section(name)
    if not isinstance(keys, Mapping):
        raise ConfigError(name, f"give its settings by name: `replace({name}={{...}})`")
    return _values(name, {(name, key): (value, IN_CODE) for key, value in keys.items()})


def _values(name: str, found: Found) -> dict[str, Any]:
    types = types_of(name)
    values = {}
    for (place, key), (value, origin) in found.items():
        if place != name:
            continue
        if key not in types:
            raise unknown_key(name, key, origin)
        values[key] = _converted(value, types[key], f"{name}.{key}", origin)
    return values


def _converted(value: object, wanted: object, key: str, origin: str) -> object:
    if wanted is Secret:
        return Secret(value)
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str) and str(wanted).startswith("tuple"):
        value = [part.strip() for part in value.split(",") if part.strip()]
    try:
        return msgspec.convert(value, wanted, strict=False)
    except msgspec.ValidationError as error:
        raise bad_value(key, value, wanted, error, origin) from error


def _as_text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return str(value)
