"""Which mode, account and feed a stack serves; accounts are named without their keys."""

import hashlib

from lean_lite.config import Config
from lean_lite.config.sections import NO_KEYS
from lean_lite.errors import ConfigError, StackError
from lean_lite.stack.folder import Mode

SIMULATOR = "simulator"
HASH_DIGITS = 12


def mode_of(config: Config) -> Mode:
    """Return the mode of stack that the settings select."""
    return "demo" if config.stack.feed == SIMULATOR else "live"


def account_of(config: Config) -> str:
    """Return a short hash of the key id, or `simulator`."""
    if config.stack.feed == SIMULATOR:
        return SIMULATOR
    return hashlib.sha256(config.alpaca.key_id.encode()).hexdigest()[:HASH_DIGITS]


def check_keys(config: Config) -> None:
    """Raise ConfigError when the settings select Alpaca and a key is missing."""
    if config.stack.feed == SIMULATOR:
        return
    for key in ("key_id", "secret_key"):
        if not getattr(config.alpaca, key):
            raise ConfigError(f"alpaca.{key}", NO_KEYS)


def check_same_account(config: Config, feed: str, account: str, folder: str) -> None:
    """Raise StackError when a stack serves another feed or account than the settings select."""
    if account != account_of(config):
        other = f"account {account}, not {account_of(config)} (hashes of the key ids)"
    elif feed != config.alpaca.feed:
        other = f"the feed {feed}, not {config.alpaca.feed}"
    else:
        return
    message = (
        f"the stack in {folder} serves {other}: stop it with `lean-lite down`, "
        "or set `stack.folder` to another folder"
    )
    raise StackError(message)
