"""Names of settings, and of their environment variables and aliases."""

import msgspec

from lean_lite.config.sections import (
    AlpacaConfig,
    BusConfig,
    IngestConfig,
    MetricsConfig,
    Section,
    ServiceConfig,
    StackConfig,
    StoreConfig,
    StreamsConfig,
    ValidateConfig,
)

PREFIX = "LEAN_LITE_"
FILE_VARIABLE = PREFIX + "CONFIG"
ALIASES = {
    "APCA_API_KEY_ID": ("alpaca", "key_id"),
    "APCA_API_SECRET_KEY": ("alpaca", "secret_key"),
    "LEAN_LITE_FEED": ("stack", "feed"),
}
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


def types_of(section: str) -> dict[str, object]:
    """Map every key of a section to its type; KeyError for an unknown section."""
    return {field.encode_name: field.type for field in msgspec.structs.fields(SECTIONS[section])}


def setting_names() -> list[tuple[str, str]]:
    """List every setting as its section and key."""
    return [(section, key) for section in SECTIONS for key in types_of(section)]


def variable_of(section: str, key: str) -> str:
    """Return the environment variable of a setting."""
    return f"{PREFIX}{section}__{key}".upper()
