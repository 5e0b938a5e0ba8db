"""Membership: join the shared stack, start it if there is none, revive it if it was killed."""

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
from lean_lite.stack.identity import check_keys, check_same_account, mode_of
from lean_lite.stack.shared.launcher import LOG, SupervisorLaunch, launch_supervisor
from lean_lite.stack.shared.users import UserLock
from lean_lite.stack.state import read_state

START_CHECK_S = 0.05
WATCH_S = 0.5
# On top of `stack.start_s`, in which a supervisor that fails stops its children and logs the error.
REPORT_S = 5.0
REVIVE_ATTEMPTS = 3

log = logging.getLogger(__name__)


class Membership:
    """
    One user of the shared stack, until `leave` or the end of the process.

    While it lasts, it watches the supervisor. If the supervisor is killed, it starts another one on
    the same ports, so that connections to the bus come back by themselves. `facts` describe the
    stack. `lost` is set when the stack has stopped permanently, with the reason in `why`.
    """

    def __init__(self, config: Config, users: UserLock, facts: dict[str, Any]) -> None:
        self.facts = facts
        self.lost = asyncio.Event()
        self.why = ""
        self._config = config
        self._folder = Path(facts["folder"])
        self._users = users
        self._watching = asyncio.create_task(self._watch(), name="watch the stack")

    @property
    def bus(self) -> BusConfig:
        """Settings of a connection with the role `client`."""
        user, password = self.facts["user"], Secret(self.facts["password"])
        url = self.facts["bus_url"]
        return msgspec.structs.replace(self._config.bus, url=url, user=user, password=password)

    def keep_running(self) -> None:
        """Let the stack run without users until `end_stack`."""
        self._users.keep_running()

    async def leave(self) -> None:
        """Stop using the stack; idempotent."""
        self._users.leave()
        self._watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._watching

    async def _watch(self) -> None:
        failures = 0
        while failures < REVIVE_ATTEMPTS:
            await asyncio.sleep(WATCH_S)
            try:
                if read_description(self._folder) is None:
                    await self._revive()
                failures = 0
            except StackError as error:
                failures += 1
                self.why = str(error)
                log.warning("the stack could not be restarted yet: %s", self.why)
            except _StackStopped as stopped:
                self.why = str(stopped)
                break
        self._users.leave()
        self.lost.set()
        log.error("the stack is lost: %s", self.why)

    async def _revive(self) -> None:
        """Start a supervisor, or wait for one; _StackStopped if there is nothing to resume."""
        deadline = _start_deadline(self._config)
        launch: SupervisorLaunch | None = None
        while (facts := read_description(self._folder)) is None:
            # An orderly stop removes the state, a kill leaves it.
            state = read_state(self._folder)
            if state is None or state.id != self.facts["session"]:
                break
            launch = _launch_or_check(launch, self._config, self._folder)
            _check_deadline(deadline, self._config, self._folder)
            await asyncio.sleep(START_CHECK_S)
        if facts is None or facts["session"] != self.facts["session"]:
            message = f"the stack in {self._folder} has stopped: join again to start another"
            raise _StackStopped(message)
        self.facts = facts
        log.info("the stack runs again: its supervisor is process %d now", facts["pid"])


class _StackStopped(Exception):
    """The stack was stopped in order, so there is nothing to revive."""


async def join_stack(config: Config) -> Membership:
    """
    Join the stack that the settings select, starting it if needed; returns when it is ready.

    ConfigError without keys; StackError when it could not start within `stack.start_s`, or when a
    stack of another mode, feed or account runs.
    """
    check_keys(config)
    folder = default_folder(config, mode_of(config))
    users = UserLock(folder)
    deadline = _start_deadline(config)
    launch: SupervisorLaunch | None = None
    while True:
        _check_other_modes(config)
        facts = read_description(folder)
        if facts is None:
            launch = _launch_or_check(launch, config, folder)
        else:
            check_same_account(config, facts["feed"], facts["account"], str(folder))
            if users.join():
                # The stack may have stopped before the lock was held; another one may run by now.
                if read_description(folder) == facts:
                    if launch is not None:
                        _log_external_reasons(facts)
                    return Membership(config, users, facts)
                users.leave()
        _check_deadline(deadline, config, folder)
        await asyncio.sleep(START_CHECK_S)


def _log_external_reasons(facts: dict[str, Any]) -> None:
    # Only the log of the strategy is sure to be read, and no bars arrive until this is fixed.
    for reason in facts.get("outside", ()):
        log.warning("the stack has started without live bars of Alpaca: %s", reason)


def _launch_or_check(
    launch: SupervisorLaunch | None, config: Config, folder: Path
) -> SupervisorLaunch | None:
    """Start a supervisor unless one runs; StackError when the one started before has failed."""
    if launch is None:
        return launch_supervisor(config, folder)
    launch.check()
    return launch


def _start_deadline(config: Config) -> float:
    return time.monotonic() + config.stack.start_s + REPORT_S


def _check_deadline(deadline: float, config: Config, folder: Path) -> None:
    if time.monotonic() > deadline:
        message = (
            f"the stack in {folder} was not ready within {config.stack.start_s:g} s "
            f"(`stack.start_s`); see {folder / LOG}, or stop it with `lean-lite down`"
        )
        raise StackError(message)


def _check_other_modes(config: Config) -> None:
    selected = mode_of(config)
    for mode in MODES:
        if mode != selected and (facts := read_description(default_folder(config, mode))):
            message = (
                f"a {mode} stack runs in {facts['folder']} (process {facts['pid']}), not a "
                f"{selected} one: stop it with `lean-lite down`, or set `stack.folder` to another "
                "folder"
            )
            raise StackError(message)
