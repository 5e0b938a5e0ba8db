"""Which account a stack serves, told without its key."""

import hashlib

from lean_lite.config import Config
from lean_lite.config.sections import NO_KEYS
from lean_lite.errors import ConfigError
from lean_lite.stack.folder import Mode

SIMULATOR = "simulator"
DIGITS = 12


def mode_of(config: Config) -> Mode:
    """Return which kind of stack the settings ask for."""
    return "demo" if config.stack.feed == SIMULATOR else "live"


def account_of(config: Config) -> str:
    """Return a short hash of the key's id, or `simulator`."""
    if config.stack.feed == SIMULATOR:
        return SIMULATOR
    return hashlib.sha256(config.alpaca.key_id.encode()).hexdigest()[:DIGITS]


def check_keys(config: Config) -> None:
    """Raise ConfigError when the settings ask for Alpaca and there are no keys."""
    if config.stack.feed == SIMULATOR:
        return
    for key in ("key_id", "secret_key"):
        if not getattr(config.alpaca, key):
            raise ConfigError(f"alpaca.{key}", NO_KEYS)
