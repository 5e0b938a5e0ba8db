"""Where an engine is attached: the stack of this machine, or the bus that `bus.url` names."""

from collections.abc import Mapping
from typing import Any

import msgspec

from lean_lite.config import BusConfig, Config
from lean_lite.config.sections import Secret
from lean_lite.errors import ConfigError, StackError
from lean_lite.stack import Membership, join_stack


class StackConnection:
    """Know how each role reaches the bus; `facts` is what the stack of this machine says."""

    def __init__(self, bus: BusConfig, membership: Membership | None) -> None:
        """Use `attach` instead."""
        self.bus = bus
        self._membership = membership

    @property
    def facts(self) -> Mapping[str, Any]:
        """Return what `stack.json` says; nothing of a bus elsewhere."""
        return self._membership.facts if self._membership else {}

    def check(self) -> None:
        """Raise StackError when the stack of this machine has ended for good."""
        if self._membership is not None and self._membership.lost.is_set():
            raise _wait_until_lost(self._membership)

    async def wait_until_lost(self) -> StackError | None:
        """Wait until the stack of this machine has ended for good; a bus elsewhere never does."""
        if self._membership is None:
            return None
        await self._membership.lost.wait()
        return _wait_until_lost(self._membership)

    def feed_bus(self) -> BusConfig:
        """Return the settings for a user's feed; ConfigError when nobody told its password."""
        user = self.facts.get("feed_user", self.bus.feed_user)
        password = self.facts.get("feed_password", self.bus.feed_password)
        if self.bus.user and not user:
            key = "bus.feed_user"
            message = (
                f"a feed of your own needs the user `feed` at {self.bus.url}: set bus.feed_user "
                "and bus.feed_password (LEAN_LITE_BUS__FEED_USER, LEAN_LITE_BUS__FEED_PASSWORD)"
            )
            raise ConfigError(key, message)
        return msgspec.structs.replace(self.bus, user=user, password=Secret(password))

    async def close(self) -> None:
        """Need the stack no more; it ends when nobody needs it."""
        if self._membership is not None:
            await self._membership.leave()


async def open_connection(config: Config) -> StackConnection:
    """Join the stack of this machine, starting it when needed, unless `bus.url` names a bus."""
    if config.bus.url:
        return StackConnection(config.bus, None)
    membership = await join_stack(config)
    return StackConnection(membership.bus, membership)


def _wait_until_lost(membership: Membership) -> StackError:
    return StackError(f"{membership.why}; call `engine.stop()` and then `engine.start()`")
