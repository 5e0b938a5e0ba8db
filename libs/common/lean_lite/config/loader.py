"""
Read the configuration: one optional TOML file, and the environment above it.

Every key can stand in the file as `[section] key` and in the environment as
`LEAN_LITE_SECTION__KEY`. The file is named by `LEAN_LITE_CONFIG`, else it is `lean-lite.toml` in
the working folder when that exists. Alpaca's own `APCA_API_KEY_ID` and `APCA_API_SECRET_KEY` work,
and `LEAN_LITE_FEED` is short for `LEAN_LITE_STACK__FEED`.
A secret may stand in a file of its own, named by its variable with `_FILE` behind.
"""

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import msgspec

from lean_lite.config.alpaca import AlpacaConfig
from lean_lite.config.bus import BusConfig
from lean_lite.config.ingest import IngestConfig
from lean_lite.config.metrics import MetricsConfig
from lean_lite.config.section import Secret, Section
from lean_lite.config.service import ServiceConfig
from lean_lite.config.stack import StackConfig
from lean_lite.config.store import StoreConfig
from lean_lite.config.streams import StreamsConfig
from lean_lite.config.validate import ValidateConfig
from lean_lite.errors import ConfigError

PREFIX = "LEAN_LITE_"
FILE_VARIABLE = PREFIX + "CONFIG"
IN_FILE = "_file"
IN_CODE = "code"
ALIASES = {
    "APCA_API_KEY_ID": ("alpaca", "key_id"),
    "APCA_API_SECRET_KEY": ("alpaca", "secret_key"),
    "LEAN_LITE_FEED": ("stack", "feed"),
}
# What is read elsewhere: by the tests.
FOREIGN = {PREFIX + name for name in ("SOAK", "REQUIRE_CONTAINERS", "SPECIFICATION")}
SECTIONS: dict[str, type[Section]] = {
    "alpaca": AlpacaConfig,
    "bus": BusConfig,
    "streams": StreamsConfig,
    "ingest": IngestConfig,
    "validate": ValidateConfig,
    "store": StoreConfig,
    "metrics": MetricsConfig,
    "service": ServiceConfig,
    "stack": StackConfig,
}


class Source(NamedTuple):
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
        unknown = sections.keys() - SECTIONS.keys()
        if unknown:
            raise _unknown(min(unknown), SECTIONS)
        for name, section in SECTIONS.items():
            given = sections.get(name)
            setattr(self, name, given or _section(name, section, found))
            if given is not None:
                self._origins |= {(name, key): IN_CODE for key in given.__struct_fields__}

    def replace(self, **changes: Mapping[str, object]) -> Self:
        """Return a copy with some keys of some sections changed: `replace(bus={"url": ...})`."""
        copy = self.__class__.__new__(self.__class__)
        copy.__dict__ = dict(self.__dict__)
        copy._origins = dict(self._origins)  # noqa: SLF001 - it is a copy of ours
        for name, keys in changes.items():
            copy._origins |= {(name, key): IN_CODE for key in keys}  # noqa: SLF001
            setattr(copy, name, msgspec.structs.replace(getattr(self, name), **keys))
        return copy

    def sources(self) -> list[Source]:
        """Return every setting in force with the place it came from; secrets are masked."""
        return [
            Source(f"{name}.{key}", value, self._origins.get((name, key), "default"))
            for name in SECTIONS
            for key, value in msgspec.structs.asdict(getattr(self, name)).items()
        ]

    def environment(self) -> dict[str, str]:
        """Return the environment variables that give a child process these settings."""
        return {
            _variable(*source.key.split(".")): _as_text(source.value) for source in self.sources()
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
            raise _unknown(name, SECTIONS, str(path))
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
        if "__" not in variable:
            raise _unknown(variable, _variables())
        name, _, key = variable.removeprefix(PREFIX).lower().partition("__")
        if name not in SECTIONS:
            raise _unknown(name, SECTIONS, variable)
        secret = key.removesuffix(IN_FILE)
        if secret != key and _types(SECTIONS[name]).get(secret) is Secret:
            found[name, secret] = (_in_file(variable, environ, f"{name}.{secret}"), variable)
        else:
            found[name, key] = (text, variable)
    return found


def _variables() -> dict[str, object]:
    places = ((name, key) for name, section in SECTIONS.items() for key in _types(section))
    return dict.fromkeys([FILE_VARIABLE, *ALIASES, *(_variable(*place) for place in places)])


def _variable(section: str, key: str) -> str:
    return f"{PREFIX}{section}__{key}".upper()


def _in_file(variable: str, environ: Mapping[str, str], key: str) -> str:
    plain = variable[: -len(IN_FILE)]
    if plain in environ:
        raise ConfigError(key, f"is given twice: unset {plain} or {variable}")
    path = environ[variable]
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(key, f"{path} can't be read: {error} (from {variable})") from error


def _types(section: type[Section]) -> dict[str, object]:
    return {field.encode_name: field.type for field in msgspec.structs.fields(section)}


def _section(name: str, section: type[Section], found: Found) -> Section:
    types = _types(section)
    values = {}
    for (place, key), (value, origin) in found.items():
        if place != name:
            continue
        if key not in types:
            raise _unknown(key, types, origin, f"{name}.")
        values[key] = _converted(value, types[key], f"{name}.{key}", origin)
    return section(**values)


def _converted(value: object, wanted: object, key: str, origin: str) -> object:
    if wanted is Secret:
        return Secret(value)
    if isinstance(value, str) and str(wanted).startswith("tuple"):
        value = [part.strip() for part in value.split(",") if part.strip()]
    try:
        return msgspec.convert(value, wanted, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(key, f"{error} (from {origin})") from error


def _unknown(
    name: str, known: Mapping[str, object], origin: str = "", place: str = ""
) -> ConfigError:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    where = f" (from {origin})" if origin else ""
    return ConfigError(
        f"{place}{name}", f"there is no such setting{where}; did you mean {place}{near[0]}?"
    )


def _as_text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return str(value)
