"""Use the stack of this machine together with others, and start it when there is none."""

import asyncio
import contextlib
import logging
import time
from pathlib import Path
from typing import Any

import msgspec

from lean_lite.config import BusConfig, Config
from lean_lite.config.sections import Secret
from lean_lite.errors import StackError
from lean_lite.stack.folder import MODES, default_folder, read_description
from lean_lite.stack.identity import check_keys, mode_of
from lean_lite.stack.shared.launcher import LOG, SupervisorLaunch, launch
from lean_lite.stack.shared.supervisor import check_same_account
from lean_lite.stack.shared.users import UserLock
from lean_lite.stack.state import read_state

LOOK_S = 0.05
WATCH_S = 0.5
# The supervisor itself waits for `stack.start_s`, stops what it has started, and says why.
REPORT_S = 5.0
ATTEMPTS = 3

log = logging.getLogger(__name__)


class Membership:
    """
    Be one user of the stack of this machine, until `leave` or the end of the process.

    When the supervisor dies, its users start another one at the same place, so that connections to
    the bus come back by themselves. `lost` is set when the stack has ended for good; `why` tells
    the reason then.
    """

    def __init__(self, config: Config, users: UserLock, facts: dict[str, Any]) -> None:
        """Use `join_stack` instead."""
        self.facts = facts
        self.lost = asyncio.Event()
        self.why = ""
        self._config = config
        self._folder = Path(facts["folder"])
        self._users = users
        self._watching = asyncio.create_task(self._watch(), name="watch the stack")

    @property
    def bus(self) -> BusConfig:
        """Return what a connection of the role `client` needs."""
        user, password = self.facts["user"], Secret(self.facts["password"])
        url = self.facts["bus_url"]
        return msgspec.structs.replace(self._config.bus, url=url, user=user, password=password)

    def keep_running(self) -> None:
        """Let the stack run on without users, until it is told to end."""
        self._users.keep_running()

    async def leave(self) -> None:
        """Use the stack no more; does nothing when that is done."""
        self._users.leave()
        self._watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._watching

    async def _watch(self) -> None:
        failures = 0
        while failures < ATTEMPTS:
            await asyncio.sleep(WATCH_S)
            try:
                if read_description(self._folder) is None:
                    await self._revive()
                failures = 0
            except StackError as error:
                failures += 1
                self.why = str(error)
                log.warning("the stack did not come back yet: %s", self.why)
            except _StackEnded as ended:
                self.why = str(ended)
                break
        self._users.leave()
        self.lost.set()
        log.error("the stack is lost: %s", self.why)

    async def _revive(self) -> None:
        until = _deadline(self._config)
        attempt: SupervisorLaunch | None = None
        while (facts := read_description(self._folder)) is None:
            session = read_state(self._folder)
            if session is None or session.id != self.facts["session"]:
                break
            attempt = _attempt(attempt, self._config, self._folder)
            _check_time(until, self._config, self._folder)
            await asyncio.sleep(LOOK_S)
        if facts is None or facts["session"] != self.facts["session"]:
            raise _StackEnded(f"the stack in {self._folder} has ended: join again to start another")
        self.facts = facts
        log.info("stack.revived", extra={"pid": facts["pid"]})


class _StackEnded(Exception):
    """Say that there is nothing to revive."""


async def join_stack(config: Config) -> Membership:
    """
    Return a membership of the stack that the settings ask for, when it is ready.

    ConfigError without keys; StackError when it could not start within `stack.start_s`, or when
    another mode, feed or account has the place.
    """
    check_keys(config)
    folder = default_folder(config, mode_of(config))
    users = UserLock(folder)
    until = _deadline(config)
    attempt: SupervisorLaunch | None = None
    while True:
        _refuse_other_mode(config)
        facts = read_description(folder)
        if facts is None:
            attempt = _attempt(attempt, config, folder)
        else:
            check_same_account(config, facts["feed"], facts["account"], str(folder))
            # The stack may have died or ended between the two looks.
            if users.join():
                if read_description(folder) == facts:
                    if attempt is not None:
                        _warn(facts)
                    return Membership(config, users, facts)
                users.leave()
        _check_time(until, config, folder)
        await asyncio.sleep(LOOK_S)


def _warn(facts: dict[str, Any]) -> None:
    # Whoever reads the log of a strategy only, or of nothing, has to see why no bar comes.
    for reason in facts.get("outside", ()):
        log.warning("the stack has started without live bars of Alpaca: %s", reason)


def _attempt(
    attempt: SupervisorLaunch | None, config: Config, folder: Path
) -> SupervisorLaunch | None:
    """Start a supervisor unless somebody does; StackError when our own attempt has failed."""
    if attempt is None:
        return launch(config, folder)
    attempt.check()
    return attempt


def _deadline(config: Config) -> float:
    return time.monotonic() + config.stack.start_s + REPORT_S


def _check_time(until: float, config: Config, folder: Path) -> None:
    if time.monotonic() > until:
        message = (
            f"the stack in {folder} was not ready within {config.stack.start_s:g} s "
            f"(`stack.start_s`); see {folder / LOG}, or end it with `lean-lite down`"
        )
        raise StackError(message)


def _refuse_other_mode(config: Config) -> None:
    wanted = mode_of(config)
    for mode in MODES:
        if mode != wanted and (facts := read_description(default_folder(config, mode))):
            message = (
                f"a {mode} stack runs in {facts['folder']} (process {facts['pid']}), not a "
                f"{wanted} one: end it with `lean-lite down`, or set `stack.folder` to another "
                "folder"
            )
            raise StackError(message)
