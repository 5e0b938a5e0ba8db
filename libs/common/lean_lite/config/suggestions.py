"""Errors of wrong settings, with the nearest right name or value."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Literal, get_args, get_origin

from lean_lite.config.keys import (
    ALIASES,
    FILE_VARIABLE,
    PREFIX,
    SECTIONS,
    setting_names,
    types_of,
    variable_of,
)
from lean_lite.errors import ConfigError


def unknown_key(section: str, key: str, origin: str = "") -> ConfigError:
    """Make the error of a key that its section does not have; suggest the nearest."""
    keys = types_of(section)
    near = [f"{section}.{name}" for name in _nearest(key, keys)]
    suggested = near or [f"{other}.{key}" for other in _sections_with(key)]
    return _unknown(f"{section}.{key}", origin, suggested, f"[{section}] has {', '.join(keys)}")


def unknown_section(section: str, origin: str = "") -> ConfigError:
    """Make the error of an unknown section; suggest the nearest."""
    return _unknown(section, origin, _nearest(section, SECTIONS), _sections())


def unknown_in_file(name: str, origin: str) -> ConfigError:
    """Make the error of a key above the first section of a file; suggest its section."""
    (key,) = _nearest(name, dict.fromkeys(key for _, key in setting_names())) or [name]
    suggested = [f"{section}.{key}, under [{section}]" for section in _sections_with(key)]
    return _unknown(name, origin, suggested or _nearest(name, SECTIONS), _sections())


def unknown_variable(variable: str) -> ConfigError:
    """Make the error of an environment variable without a setting; suggest the nearest."""
    section, _, key = variable.removeprefix(PREFIX).lower().partition("__")
    if key and (near := _nearest(section, SECTIONS)):
        return _unknown(section, variable, near)
    variables = _variables_by_short_name()
    near = _nearest((key or section).upper(), variables)
    rest = f"a setting is {PREFIX}<SECTION>__<KEY>, and {_sections()}"
    return _unknown(variable, "", [variables[name] for name in near], rest)


def bad_value(key: str, value: object, expected: object, why: object, origin: str) -> ConfigError:
    """
    Make the error of a value of the wrong type; list the allowed values of a choice.

    Args:
        key: section and key of the setting, such as `bus.url`.
        value: the value that was given.
        expected: type of the setting.
        why: what is wrong, unless the allowed values say it.
        origin: where the value came from: a variable, a file, or code.
    """
    allowed = get_args(expected) if get_origin(expected) is Literal else ()
    if expected is bool:
        allowed = ("true", "false")
    message = f"Expected {_either(allowed)}, not {value!r}" if allowed else str(why)
    return ConfigError(key, f"{message} (from {origin})")


def _unknown(name: str, origin: str, suggested: Iterable[str], otherwise: str = "") -> ConfigError:
    source = f" (from {origin})" if origin else ""
    names = _either(tuple(suggested))
    advice = f"did you mean {names}?" if names else otherwise
    return ConfigError(name, f"there is no such setting{source}; {advice}")


def _nearest(name: str, names: Mapping[str, object]) -> list[str]:
    """Return the most similar name, or nothing if none is similar."""
    return difflib.get_close_matches(name, names, n=1)


def _sections_with(key: str) -> list[str]:
    return [section for section, name in setting_names() if name == key]


def _sections() -> str:
    return f"the sections are {', '.join(SECTIONS)}"


def _variables_by_short_name() -> dict[str, str]:
    """Map names without the prefix, and keys without their section, to the full variable."""
    full = [FILE_VARIABLE, *ALIASES, *(variable_of(*setting) for setting in setting_names())]
    variables = {variable.removeprefix(PREFIX): variable for variable in full}
    for section, key in setting_names():
        variables.setdefault(key.upper(), variable_of(section, key))
    return variables


def _either(names: tuple[str, ...]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
