"""
Alpaca's own client, with its gaps closed: a bounded greeting, refusals that end, whole frames.

These classes override private methods of alpaca-py 0.44.0; a contract test holds them to it.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgpack
from alpaca.data.enums import DataFeed
from alpaca.data.live import CryptoDataStream, StockDataStream
from alpaca.data.live.websocket import DataStream
from websockets.exceptions import WebSocketException

from lean_lite_ingest.alpaca.error_codes import explain

GREETING_S = 10.0
STOP_S = 1.0
YIELD_EVERY = 2_000
CHANNELS = ("bars", "updatedBars")
# What Alpaca says for good: bad keys, no such plan, no such scope.
REFUSALS = {"auth failed": 402, "insufficient subscription": 409, "insufficient scope": 411}
CONNECTION_LIMIT = 406
ADDRESS = "check the network and `alpaca.stream_url`; this goes on by itself"
PARAMETERS = {
    "max_size": None,
    "max_queue": 1024,
    "ping_interval": 10,
    "ping_timeout": 20,
    "close_timeout": 2,
}

Message = dict[str, Any]

log = logging.getLogger(__name__)


class Hooks:
    """Hold what a stream calls: all synchronous, all quick."""

    def __init__(
        self,
        on_batch: Callable[[list[Message], int], None],
        on_control: Callable[[Message], None],
        on_disconnected: Callable[[], None],
    ) -> None:
        """Call back with every frame and its wall time, every control message, every loss."""
        self.on_batch = on_batch
        self.on_control = on_control
        self.on_disconnected = on_disconnected


class _AlpacaStream(DataStream):
    """Hand over whole frames, and end when Alpaca refuses for good."""

    _hooks: Hooks
    _ws: Any
    refusal: tuple[int, str] | None = None
    # Why the last attempt to connect has failed; the base class tries again.
    trouble: str = ""

    def add_symbols(self, symbols: Iterable[str]) -> None:
        """Add symbols to the set that every subscription asks for."""
        for channel in CHANNELS:
            self._handlers[channel].update(dict.fromkeys(symbols, _unused))

    async def subscribe_all(self) -> None:
        """Send the whole wanted set, when connected."""
        if self._running and self._ws is not None:
            await self._send_subscribe_msg()

    async def remove_symbols(self, symbols: Iterable[str]) -> None:
        """Take symbols out of the wanted set and tell Alpaca, when connected."""
        for channel in CHANNELS:
            gone = [symbol for symbol in symbols if self._handlers[channel].pop(symbol, None)]
            if gone and self._running and self._ws is not None:
                await self._send_unsubscribe_msg(channel, gone)

    async def run_connected(self) -> None:
        """Stay connected until cancelled; return when Alpaca refuses (see `refusal`)."""
        work = asyncio.create_task(self._run_forever())
        try:
            await asyncio.shield(work)
        finally:
            with contextlib.suppress(OSError):
                await self.stop_ws()
            await asyncio.wait([work], timeout=STOP_S)
            work.cancel()
            await self.close()

    async def stop_ws(self) -> None:
        """Stop at once: the base class would wait for the next message, up to 5 s."""
        await super().stop_ws()
        if self._ws is not None:
            await self._ws.close()

    async def _start_ws(self) -> None:
        try:
            async with asyncio.timeout(GREETING_S):
                await super()._start_ws()
        except TimeoutError:
            self.trouble = f"Alpaca does not answer within {GREETING_S:g} s; {ADDRESS}"
            raise
        except (OSError, WebSocketException) as error:
            self.trouble = f"{error}; {ADDRESS}"
            raise
        except ValueError as error:
            self._on_refusal(str(error))
            raise
        self.trouble = ""

    def _on_refusal(self, text: str) -> None:
        self.trouble = text
        if "connection limit" in text:
            self.trouble = explain(CONNECTION_LIMIT, text)
        for words, code in REFUSALS.items():
            if words in text:
                self.refusal = (code, text)
                self.trouble = explain(code, text)
                self._should_run = False
                if self._stop_stream_event is not None:
                    self._stop_stream_event.set()

    async def _consume(self) -> bool:
        self._data_received = False
        seen = 0
        try:
            while self._stop_stream_queue.empty() and self._ws is not None:
                data = await self._ws.recv()
                wall_ns = time.time_ns()
                messages = msgpack.unpackb(data)
                seen += len(messages)
                self._deliver_frame(messages, wall_ns)
                if seen >= YIELD_EVERY:
                    # recv() does not suspend while frames are queued.
                    seen = 0
                    await asyncio.sleep(0)
            await self.close()
            return False
        finally:
            self._hooks.on_disconnected()

    def _deliver_frame(self, messages: list[Message], wall_ns: int) -> None:
        data = []
        for message in messages:
            if message.get("T") in {"success", "error", "subscription"}:
                self._hooks.on_control(message)
            else:
                data.append(message)
        if data:
            self._data_received = True
            self._hooks.on_batch(data, wall_ns)


async def _unused(_: object) -> None:
    """Stand in the client's table of handlers, which only lists what to subscribe."""


class StockStream(_AlpacaStream, StockDataStream):
    """Stream equities."""

    def __init__(self, key_id: str, secret_key: str, feed: str, url: str, hooks: Hooks) -> None:
        """Connect nothing before `run`; an empty address is Alpaca's own."""
        super().__init__(
            api_key=key_id,
            secret_key=secret_key,
            raw_data=True,
            feed=DataFeed(feed),
            websocket_params=PARAMETERS,
            url_override=f"{url}/v2/{feed}" if url else None,
        )
        self._hooks = hooks


class CryptoStream(_AlpacaStream, CryptoDataStream):
    """Stream crypto."""

    def __init__(self, key_id: str, secret_key: str, feed: str, url: str, hooks: Hooks) -> None:
        """Connect nothing before `run`; an empty address is Alpaca's own."""
        super().__init__(
            api_key=key_id,
            secret_key=secret_key,
            raw_data=True,
            websocket_params=PARAMETERS,
            url_override=f"{url}/v1beta3/crypto/{feed}" if url else None,
        )
        self._hooks = hooks
