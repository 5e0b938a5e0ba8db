"""Callbacks: call user functions with every update, isolated from each other."""

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

# How long a stop waits for a call that ignores its cancellation.
STOP_S = 2.0
# Time of calls without a pause for other tasks: short next to a network delay, long next to a call.
YIELD_AFTER_S = 0.005

log = logging.getLogger(__name__)
# The worker whose call is running; tasks that the call creates inherit it.
_current: ContextVar["CallbackWorker | None"] = ContextVar("current", default=None)


class CallbackWorker:
    """
    Calls one function with the updates of its mailbox, one after the other.

    The task starts with the first update. A function that raises is logged, counted and called
    with the next update.

    Args:
        callback: the function.
        mailbox: its queue.

    Attributes:
        callback: the function.
        called: number of calls.
        failed: number of calls that raised.
    """

    def __init__(self, callback: Callback, mailbox: Mailbox) -> None:
        self.callback = callback
        self._mailbox = mailbox
        self._task: asyncio.Task[None] | None = None
        self.called = 0
        self.failed = 0
        self._in_call = False

    @property
    def room(self) -> int:
        """Number of updates to put in one batch; 0 if the producer must wait."""
        return self._mailbox.room

    def put_nowait(self, update: BarUpdate) -> bool:
        """Put an update; False if the mailbox has no room for it."""
        if self._task is None:
            self._mailbox.bind_loop()
            self._task = asyncio.create_task(self._run(), name=f"callback {self.callback!r}")
        return self._mailbox.put_nowait(update)

    async def put(self, update: BarUpdate) -> None:
        """Put an update; waits for room."""
        await self._mailbox.put(update)

    def close(self) -> None:
        """Stop calling permanently; a call in progress is finished."""
        self._mailbox.close()
        if self._task is not None and not self._in_call:
            self._task.cancel()

    async def stop(self) -> None:
        """
        Cancel a call in progress and wait for its end, `STOP_S` at most.

        A call that stops its own worker is not cancelled: it is finished, and is the last one.
        """
        task, self._task = self._task, None
        if task is not None and _current.get() is not self:
            task.cancel()
            await asyncio.wait([task], timeout=STOP_S)

    def to_dict(self) -> dict[str, Any]:
        """Return name, policy and counts as values that JSON can carry."""
        return {
            "callback": getattr(self.callback, "__qualname__", repr(self.callback)),
            "policy": self._mailbox.policy,
            "called": self.called,
            "failed": self.failed,
            "waiting": len(self._mailbox),
            "dropped": self._mailbox.dropped,
        }

    async def _run(self) -> None:
        task = self._task
        _current.set(self)
        until = monotonic() + YIELD_AFTER_S
        # A stop from within the call has removed or replaced the task: then this loop ends.
        while self._task is task and not self._mailbox.closed:
            update = self._mailbox.get_nowait()
            if update is None:
                update = await self._mailbox.get()
                until = monotonic() + YIELD_AFTER_S
            if update.source.stopped:
                continue
            self.called += 1
            self._in_call = True
            try:
                result = self.callback(update.symbol, update.bar, update.quality)
                if result is not None and inspect.isawaitable(result):
                    await result
            except (Exception, asyncio.CancelledError) as error:
                # If the function awaits something that is cancelled, this is an ordinary error.
                if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
                    raise
                self.failed += 1
                # Failures 1, 2, 4, 8 … are logged: one that always fails must not fill the disk.
                if self.failed & (self.failed - 1) == 0:
                    log.exception("the callback %r failed for %s", self.callback, update.symbol)
            finally:
                self._in_call = False
            # A synchronous function never waits: without this no other task would run.
            if monotonic() > until:
                await asyncio.sleep(0)
                until = monotonic() + YIELD_AFTER_S


class Callbacks:
    """User functions that get every update; only one whose policy is `block` delays the others."""

    def __init__(self) -> None:
        self._workers: list[CallbackWorker] = []
        self._failed_before = 0

    @property
    def failed(self) -> int:
        """Number of calls that raised, those of removed functions included."""
        return self._failed_before + sum(worker.failed for worker in self._workers)

    @property
    def room(self) -> int:
        """Number of updates to put in one batch; 0 if the producer must wait."""
        return min((worker.room for worker in self._workers), default=sys.maxsize)

    def add(self, callback: Callback, policy: Policy = "block", bound: int = BOUND) -> None:
        """
        Call a function for every update from now on.

        Args:
            callback: called as `callback(symbol, bar, quality)`; sync or async.
            policy: what happens when `bound` updates wait, see `Mailbox`.
            bound: number of updates that may wait.

        Raises:
            TypeError: the function can't be called with these three arguments.
            ValueError: the policy or the bound is invalid.
        """
        _check(callback)
        self._workers.append(CallbackWorker(callback, Mailbox(policy, bound)))

    def remove(self, callback: Callback) -> None:
        """Stop calling a function, one of several equal ones; an unknown one is ignored."""
        for worker in self._workers:
            if worker.callback == callback:
                self._workers.remove(worker)
                self._failed_before += worker.failed
                worker.close()
                return

    async def put(self, update: BarUpdate) -> None:
        """Put an update into every mailbox; waits for those that block."""
        # First all workers with room, so that a full one delays this update for no other.
        full = [worker for worker in self._workers if not worker.put_nowait(update)]
        for worker in full:
            await worker.put(update)

    async def stop(self) -> None:
        """Stop all workers; the next update starts them again."""
        for worker in tuple(self._workers):
            await worker.stop()

    def to_list(self) -> list[dict[str, Any]]:
        """Return name, policy and counts of every function."""
        return [worker.to_dict() for worker in self._workers]


def _check(callback: object) -> None:
    """Raise TypeError unless an object can be called with three arguments."""
    if not callable(callback):
        message = f"a callback takes (symbol, bar, quality): {callback!r} is not callable"
        raise TypeError(message)
    try:
        signature = inspect.signature(callback)
    except ValueError:  # A function written in C may have no signature.
        return
    try:
        signature.bind("", None, None)
    except TypeError as error:
        name = getattr(callback, "__qualname__", repr(callback))
        message = (
            f"a callback takes (symbol, bar, quality): {name}{signature} does not accept them, "
            f"{error}"
        )
        raise TypeError(message) from error
