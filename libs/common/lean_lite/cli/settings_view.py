"""Settings as a table or as JSON, for `lean-lite config`."""

from collections.abc import Iterable

import msgspec

from lean_lite.config import SettingSource
from lean_lite.config.keys import variable_of
from lean_lite.config.sections import Secret

MASKED = "***"


def settings_table(sources: Iterable[SettingSource]) -> str:
    """Return one line per setting: key, value and origin; secrets are masked by their repr."""
    rows = [(source.key, repr(source.value), source.origin) for source in sources]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return "".join(
        f"{key:<{widths[0]}}  {value:<{widths[1]}}  {origin}\n" for key, value, origin in rows
    )


def settings_json(sources: Iterable[SettingSource]) -> str:
    """Return one JSON object: value, origin and environment variable of every setting by key."""
    settings = {
        source.key: {
            "value": MASKED if isinstance(source.value, Secret) and source.value else source.value,
            "origin": source.origin,
            "variable": variable_of(*source.key.split(".")),
        }
        for source in sources
    }
    return msgspec.json.encode(settings, enc_hook=str).decode() + "\n"
