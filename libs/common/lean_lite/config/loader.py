"""
Config: settings read from a TOML file and from the environment, which overrides it.

Every key can be set in the file as `[section] key` and in the environment as
`LEAN_LITE_SECTION__KEY`. The file is the one that `LEAN_LITE_CONFIG` names, or `lean-lite.toml` in
the working folder if it exists. Alpaca's own `APCA_API_KEY_ID` and `APCA_API_SECRET_KEY` work, and
`LEAN_LITE_FEED` is short for `LEAN_LITE_STACK__FEED`. A secret may be read from a file of its own,
which the variable of the secret names with the suffix `_FILE`.
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
# Variables with the prefix that are read elsewhere: aliases, and switches of the tests.
OTHER_VARIABLES = {
    *ALIASES,
    FILE_VARIABLE,
    *(PREFIX + name for name in ("SOAK", "REQUIRE_CONTAINERS")),
}


class SettingSource(NamedTuple):
    """
    A setting with its effective value.

    Attributes:
        key: section and key, such as `bus.url`.
        value: its value; a `Secret` masks itself.
        origin: the environment variable, the file and section, `code` or `default`.
    """

    key: str
    value: object
    origin: str


class Config:
    """
    Every setting, one attribute per section; sections are immutable.

    `Config()` reads the file and the environment.

    Args:
        **sections: sections to use as they are, by name: `Config(bus=BusConfig(url=...))`. Only
            the others are read.

    Raises:
        ConfigError: a setting is unknown or has a bad value; the message names it, where it came
            from and what would be right.
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
        found = _read(os.environ)
        self._origins = {key: origin for key, (_, origin) in found.items()}
        for name, given in sections.items():
            _check_section(name, given)
        for name, section in SECTIONS.items():
            if name in sections:
                setattr(self, name, sections[name])
                self._origins |= {(name, key): IN_CODE for key in types_of(name)}
            else:
                setattr(self, name, section(**_values(name, found)))

    def replace(self, **changes: Mapping[str, object]) -> Self:
        """
        Return a copy with some settings changed.

        Args:
            **changes: new values by section and key: `replace(bus={"url": ...})`.

        Raises:
            ConfigError: a setting is unknown or has a bad value.
        """
        copy = self.__class__.__new__(self.__class__)
        copy.__dict__ = dict(self.__dict__)
        copy._origins = dict(self._origins)  # noqa: SLF001 - a copy of this object
        for name, keys in changes.items():
            changed = _from_code(name, keys)
            copy._origins |= {(name, key): IN_CODE for key in changed}  # noqa: SLF001
            setattr(copy, name, msgspec.structs.replace(getattr(self, name), **changed))
        return copy

    def sources(self) -> list[SettingSource]:
        """Return every setting with its effective value and origin; secrets mask themselves."""
        return [
            SettingSource(f"{name}.{key}", value, self._origins.get((name, key), "default"))
            for name in SECTIONS
            for key, value in msgspec.structs.asdict(getattr(self, name)).items()
        ]

    def environment(self) -> dict[str, str]:
        """
        Return the environment variables that give a child process the same settings.

        Returns:
            Texts by variable, such as `LEAN_LITE_BUS__URL`; secrets are not masked.
        """
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
            advice = "name one that exists, or unset the variable"
            raise ConfigError(FILE_VARIABLE, f"there is no file {path}: {advice}")
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
        setting: (environ[variable], variable)
        for variable, setting in ALIASES.items()
        if environ.get(variable)
    }
    for variable, text in environ.items():
        if not variable.startswith(PREFIX) or variable in OTHER_VARIABLES:
            continue
        name, _, key = variable.removeprefix(PREFIX).lower().partition("__")
        if not key or name not in SECTIONS:
            raise unknown_variable(variable)
        secret = key.removesuffix(IN_FILE)
        if secret != key and types_of(name).get(secret) is Secret:
            value = _from_secret_file(variable, environ, f"{name}.{secret}")
            found[name, secret] = (value, variable)
        else:
            found[name, key] = (text, variable)
    return found


def _from_secret_file(variable: str, environ: Mapping[str, str], key: str) -> str:
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
    expected = SECTIONS[name]
    if not isinstance(given, expected):
        advice = f"`Config().replace({name}={{...}})` changes single settings"
        raise ConfigError(name, f"must be a {expected.__name__}; {advice}")


def _from_code(name: str, keys: object) -> dict[str, Any]:
    if name not in SECTIONS:
        raise unknown_section(name)
    if not isinstance(keys, Mapping):
        raise ConfigError(name, f"give its settings by name: `replace({name}={{...}})`")
    return _values(name, {(name, key): (value, IN_CODE) for key, value in keys.items()})


def _values(name: str, found: Found) -> dict[str, Any]:
    types = types_of(name)
    values = {}
    for (section, key), (value, origin) in found.items():
        if section != name:
            continue
        if key not in types:
            raise unknown_key(name, key, origin)
        values[key] = _convert(value, types[key], f"{name}.{key}", origin)
    return values


def _convert(value: object, expected: object, key: str, origin: str) -> object:
    if expected is Secret:
        return Secret(value)
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str) and str(expected).startswith("tuple"):
        value = [part.strip() for part in value.split(",") if part.strip()]
    try:
        return msgspec.convert(value, expected, strict=False)
    except msgspec.ValidationError as error:
        raise bad_value(key, value, expected, error, origin) from error


def _as_text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return str(value)
