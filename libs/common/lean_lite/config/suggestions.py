"""What to say of a setting that is not there, and of a value that can't stand where it is."""

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
    """Return that a section has no such key, with the one that may be meant."""
    known = types_of(section)
    near = [f"{section}.{one}" for one in _near(key, known)]
    meant = near or [f"{other}.{key}" for other in _sections_with(key)]
    return _unknown(f"{section}.{key}", origin, meant, f"[{section}] has {', '.join(known)}")


def unknown_section(section: str, origin: str = "") -> ConfigError:
    """Return that there is no such section, with the one that may be meant."""
    return _unknown(section, origin, _near(section, SECTIONS), _sections())


def unknown_in_file(name: str, origin: str) -> ConfigError:
    """Return that a key stands above every section of the file, with the place of its own."""
    (key,) = _near(name, dict.fromkeys(key for _, key in setting_names())) or [name]
    meant = [f"{section}.{key}, under [{section}]" for section in _sections_with(key)]
    return _unknown(name, origin, meant or _near(name, SECTIONS), _sections())


def unknown_variable(variable: str) -> ConfigError:
    """Return that a variable is no setting, with the one that may be meant."""
    section, _, key = variable.removeprefix(PREFIX).lower().partition("__")
    if key and (near := _near(section, SECTIONS)):
        return _unknown(section, variable, near)
    known = _short_variables()
    near = _near((key or section).upper(), known)
    rest = f"a setting is {PREFIX}<SECTION>__<KEY>, and {_sections()}"
    return _unknown(variable, "", [known[one] for one in near], rest)


def bad_value(key: str, value: object, wanted: object, why: object, origin: str) -> ConfigError:
    """Return that a value can't stand there, with those that can when they are few."""
    allowed = get_args(wanted) if get_origin(wanted) is Literal else ()
    if wanted is bool:
        allowed = ("true", "false")
    said = f"Expected {_either(allowed)}, not {value!r}" if allowed else str(why)
    return ConfigError(key, f"{said} (from {origin})")


def _unknown(name: str, origin: str, meant: Iterable[str], otherwise: str = "") -> ConfigError:
    where = f" (from {origin})" if origin else ""
    guess = _either(tuple(meant))
    advice = f"did you mean {guess}?" if guess else otherwise
    return ConfigError(name, f"there is no such setting{where}; {advice}")


def _near(name: str, known: Mapping[str, object]) -> list[str]:
    return difflib.get_close_matches(name, known, n=1)


def _sections_with(key: str) -> list[str]:
    return [section for section, one in setting_names() if one == key]


def _sections() -> str:
    return f"the sections are {', '.join(SECTIONS)}"


def _short_variables() -> dict[str, str]:
    """Return the variables by what may be left of their names: the prefix or the section gone."""
    whole = [FILE_VARIABLE, *ALIASES, *(variable_of(*place) for place in setting_names())]
    known = {variable.removeprefix(PREFIX): variable for variable in whole}
    for section, key in setting_names():
        known.setdefault(key.upper(), variable_of(section, key))
    return known


def _either(names: tuple[str, ...]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
