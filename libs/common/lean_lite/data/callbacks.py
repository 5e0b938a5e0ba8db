"""The functions that get every bar of the subscribed symbols."""

import inspect
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from lean_lite.algorithm.data_models import DataQualityLevel, TradeBar

Callback = Callable[[str, TradeBar, DataQualityLevel], Awaitable[object] | object]

log = logging.getLogger(__name__)


class Callbacks:
    """Call functions one after the other; one that raises is logged and harms nobody."""

    def __init__(self) -> None:
        """Start with none."""
        self._callbacks: list[Callback] = []

    def add(self, callback: Callback) -> None:
        """Call it for every bar from now on."""
        self._callbacks.append(callback)

    def remove(self, callback: Callback) -> None:
        """Call it no more; one that is not there is no error."""
        with suppress(ValueError):
            self._callbacks.remove(callback)

    async def call(self, symbol: str, bar: TradeBar, quality: DataQualityLevel) -> None:
        """Hand a bar to all, and wait for those that are awaitable."""
        for callback in tuple(self._callbacks):
            try:
                result = callback(symbol, bar, quality)
                if inspect.isawaitable(result):
                    await result
            except Exception:
                log.exception("the callback %r failed for %s", callback, symbol)
