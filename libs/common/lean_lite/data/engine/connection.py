"""StackConnection: the bus that an engine uses, this machine's stack or `bus.url`."""

from collections.abc import Mapping
from typing import Any

import msgspec

from lean_lite.config import BusConfig, Config
from lean_lite.config.sections import Secret
from lean_lite.errors import ConfigError, StackError
from lean_lite.stack import Membership, join_stack


class StackConnection:
    """
    Settings of the bus by role, and the membership of this machine's stack if it is used.

    Args:
        bus: settings for the role `client`.
        membership: membership of this machine's stack; None with `bus.url`.

    Attributes:
        bus: settings for the role `client`.
    """

    def __init__(self, bus: BusConfig, membership: Membership | None) -> None:
        self.bus = bus
        self._membership = membership

    @property
    def facts(self) -> Mapping[str, Any]:
        """Contents of `stack.json`; empty with `bus.url`."""
        return self._membership.facts if self._membership else {}

    def check(self) -> None:
        """Raise StackError if the stack of this machine is lost permanently."""
        if self._membership is not None and self._membership.lost.is_set():
            raise _lost(self._membership)

    async def wait_until_lost(self) -> StackError | None:
        """Wait until the stack of this machine is lost and return the error; None without one."""
        if self._membership is None:
            return None
        await self._membership.lost.wait()
        return _lost(self._membership)

    def feed_bus(self) -> BusConfig:
        """
        Return the settings for the role `feed`, which user feeds publish with.

        Raises:
            ConfigError: `bus.feed_user` is not set.
        """
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
        """Release the stack of this machine; its last user stops it."""
        if self._membership is not None:
            await self._membership.leave()


async def open_connection(config: Config) -> StackConnection:
    """Join or start the stack of this machine, unless `bus.url` names a bus."""
    if config.bus.url:
        return StackConnection(config.bus, None)
    membership = await join_stack(config)
    return StackConnection(membership.bus, membership)


def _lost(membership: Membership) -> StackError:
    return StackError(f"{membership.why}; call `engine.stop()` and then `engine.start()`")
