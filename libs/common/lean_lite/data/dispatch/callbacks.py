"""The functions that get every bar of the subscribed symbols."""

import asyncio
import inspect
import logging
import sys
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from time import monotonic
from typing import Any

from lean_lite.data.dispatch.mailbox import BOUND, BarUpdate, Mailbox, Policy
from lean_lite.model import DataQualityLevel, TradeBar
from lean_lite.tasks import is_being_cancelled

Callback = Callable[[str, TradeBar, DataQualityLevel], Awaitable[object] | object]

STOP_S = 2.0
# How long one function is called again and again before the event loop has its turn.
TURN_S = 0.005

log = logging.getLogger(__name__)
# What is called goes with all that it awaits, in whatever task that runs.
_calling: ContextVar["CallbackWorker | None"] = ContextVar("calling", default=None)


class CallbackWorker:
    """Call one function with what is in its mailbox, one update after the other."""

    def __init__(self, callback: Callback, mailbox: Mailbox) -> None:
        """Call nothing before the first update."""
        self.callback = callback
        self._mailbox = mailbox
        self._work: asyncio.Task[None] | None = None
        self.called = 0
        self.failed = 0
        self._calling = False

    @property
    def room(self) -> int:
        """Return how many updates are best handed over at a time."""
        return self._mailbox.room

    def put_nowait(self, update: BarUpdate) -> bool:
        """Hand an update over, and say so; False when the mailbox has no room for it."""
        if self._work is None:
            self._mailbox.bind_loop()
            self._work = asyncio.create_task(self._run(), name=f"callback {self.callback!r}")
        return self._mailbox.put_nowait(update)

    async def put(self, update: BarUpdate) -> None:
        """Hand an update over as soon as there is room."""
        await self._mailbox.put(update)

    def close(self) -> None:
        """Call the function no more; a call that is under way ends by itself."""
        self._mailbox.close()
        if self._work is not None and not self._calling:
            self._work.cancel()

    async def stop(self) -> None:
        """
        Cancel a call that is under way, and give it a moment to end.

        A call that is what stops us goes on to its end, and is the last one.
        """
        work, self._work = self._work, None
        if work is not None and _calling.get() is not self:
            work.cancel()
            await asyncio.wait([work], timeout=STOP_S)

    def to_dict(self) -> dict[str, Any]:
        """Return how it goes, for people and programs."""
        return {
            "callback": getattr(self.callback, "__qualname__", repr(self.callback)),
            "policy": self._mailbox.policy,
            "called": self.called,
            "failed": self.failed,
            "waiting": len(self._mailbox),
            "dropped": self._mailbox.dropped,
        }

    async def _run(self) -> None:
        work = self._work
        _calling.set(self)
        until = monotonic() + TURN_S
        while self._work is work and not self._mailbox.closed:
            update = self._mailbox.get_nowait()
            if update is None:
                update = await self._mailbox.get()
                until = monotonic() + TURN_S
            if update.source.stopped:
                continue
            self.called += 1
            self._calling = True
            try:
                result = self.callback(update.symbol, update.bar, update.quality)
                if result is not None and inspect.isawaitable(result):
                    await result
            except (Exception, asyncio.CancelledError) as error:
                if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
                    raise
                self.failed += 1
                # One that always fails must not fill the disk: failures 1, 2, 4, 8… are told.
                if self.failed & (self.failed - 1) == 0:
                    log.exception("the callback %r failed for %s", self.callback, update.symbol)
            finally:
                self._calling = False
            # A synchronous function never waits: without this the loop stands still meanwhile.
            if monotonic() > until:
                await asyncio.sleep(0)
                until = monotonic() + TURN_S


class Callbacks:
    """Give every update to every function; none waits for another one unless its mailbox blocks."""

    def __init__(self) -> None:
        """Start with none."""
        self._listeners: list[CallbackWorker] = []
        self._failed_before = 0

    @property
    def failed(self) -> int:
        """Return how often any function has raised, those included that were removed since."""
        return self._failed_before + sum(listener.failed for listener in self._listeners)

    @property
    def room(self) -> int:
        """Return how many updates are best handed to all at a time; 0 when one must wait."""
        return min((listener.room for listener in self._listeners), default=sys.maxsize)

    def add(self, callback: Callback, policy: Policy = "block", bound: int = BOUND) -> None:
        """
        Call it for every update from now on.

        TypeError for what can't be called so, ValueError as in `Mailbox`.
        """
        _check(callback)
        self._listeners.append(CallbackWorker(callback, Mailbox(policy, bound)))

    def remove(self, callback: Callback) -> None:
        """Call it no more; one that is not there is no error."""
        for listener in self._listeners:
            if listener.callback == callback:
                self._listeners.remove(listener)
                self._failed_before += listener.failed
                listener.close()
                return

    async def put(self, update: BarUpdate) -> None:
        """Hand an update to all, and wait for those who have no room."""
        full = [listener for listener in self._listeners if not listener.put_nowait(update)]
        for listener in full:
            await listener.put(update)

    async def stop(self) -> None:
        """Call none any more until the next update."""
        for listener in tuple(self._listeners):
            await listener.stop()

    def to_list(self) -> list[dict[str, Any]]:
        """Return how each function goes."""
        return [listener.to_dict() for listener in self._listeners]


def _check(callback: object) -> None:
    wanted = "a callback takes (symbol, bar, quality)"
    if not callable(callback):
        message = f"{wanted}: {callback!r} can't be called"
        raise TypeError(message)
    try:
        signature = inspect.signature(callback)
    except ValueError:  # A function of C need not tell.
        return
    try:
        signature.bind("", None, None)
    except TypeError as error:
        name = getattr(callback, "__qualname__", repr(callback))
        message = f"{wanted}: {name}{signature} can't be called so, {error}"
        raise TypeError(message) from error
