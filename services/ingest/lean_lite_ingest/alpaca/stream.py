"""
StockStream, CryptoStream: alpaca-py's websocket client, hardened.

The greeting has a timeout, lasting refusals end the stream, and frames are delivered undivided.
The classes override private methods of alpaca-py 0.44.0; a contract test compares them.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Collection
from typing import Any, Protocol

import msgpack
from alpaca.data.enums import DataFeed
from alpaca.data.live import CryptoDataStream, StockDataStream
from alpaca.data.live.websocket import DataStream
from websockets.exceptions import WebSocketException

from lean_lite_ingest.alpaca.wire import Message, explain

GREETING_S = 10.0
STOP_S = 1.0
# A fast simulator sends frames without a pause, and other tasks must run.
YIELD_EVERY = 2_000
CHANNELS = ("bars", "updatedBars")
# Errors that last until keys or plan are changed, found by words of their text: alpaca-py raises
# a ValueError without the code.
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

log = logging.getLogger(__name__)


class MessageHooks(Protocol):
    """Callbacks of a stream with Alpaca's messages; synchronous, never wait."""

    def on_batch(self, messages: list[Message], wall_ns: int) -> None:
        """Receive the data messages of one frame, and when it arrived."""

    def on_control(self, message: Message) -> None:
        """Receive a message about the connection: success, error or subscription."""

    def on_disconnected(self) -> None:
        """Receive the end of a connection."""


class _AlpacaStream(DataStream):
    """
    Stream that delivers frames to hooks, and ends when Alpaca refuses the account.

    `refusal` is why, with what to do about it. `connect_error` is why the last attempt to connect
    failed; the base class tries again.
    """

    _hooks: MessageHooks
    _ws: Any
    refusal: str = ""
    connect_error: str = ""

    async def run_connected(self) -> None:
        """Stay connected until cancelled; return only with a refusal, and clear an earlier one."""
        self.refusal = ""
        work = asyncio.create_task(self._run_forever())
        try:
            await asyncio.shield(work)
        finally:
            with contextlib.suppress(OSError):
                await self.stop_ws()
            await asyncio.wait([work], timeout=STOP_S)
            work.cancel()
            await self.close()

    def add_symbols(self, symbols: Collection[str]) -> None:
        """Add symbols to those that every connection subscribes; nothing is sent."""
        for channel in CHANNELS:
            self._handlers[channel].update(dict.fromkeys(symbols, _unused))

    async def subscribe_all(self) -> None:
        """Subscribe all symbols now, if connected."""
        if self._running and self._ws is not None:
            await self._send_subscribe_msg()

    async def remove_symbols(self, symbols: Collection[str]) -> None:
        """Remove symbols, and unsubscribe them if connected."""
        for channel in CHANNELS:
            removed = [symbol for symbol in symbols if self._handlers[channel].pop(symbol, None)]
            if removed and self._running and self._ws is not None:
                await self._send_unsubscribe_msg(channel, removed)

    async def stop_ws(self) -> None:
        """Stop without the base class's wait for the next message, up to 5 s."""
        await super().stop_ws()
        if self._ws is not None:
            await self._ws.close()

    async def _start_ws(self) -> None:
        try:
            async with asyncio.timeout(GREETING_S):
                await super()._start_ws()
        except TimeoutError:
            self.connect_error = f"Alpaca does not answer within {GREETING_S:g} s; {ADDRESS}"
            raise
        except (OSError, WebSocketException) as error:
            self.connect_error = f"{error}; {ADDRESS}"
            raise
        except ValueError as error:
            self._on_refusal(str(error))
            raise
        self.connect_error = ""

    def _on_refusal(self, text: str) -> None:
        self.connect_error = text
        if "connection limit" in text:
            self.connect_error = explain(CONNECTION_LIMIT, text)
        for words, code in REFUSALS.items():
            if words in text:
                self.refusal = self.connect_error = explain(code, text)
                self._should_run = False
                if self._stop_stream_event is not None:
                    self._stop_stream_event.set()

    async def _consume(self) -> bool:
        self._data_received = False
        count = 0
        try:
            while self._stop_stream_queue.empty() and self._ws is not None:
                data = await self._ws.recv()
                wall_ns = time.time_ns()
                messages = msgpack.unpackb(data)
                count += len(messages)
                self._deliver_frame(messages, wall_ns)
                if count >= YIELD_EVERY:
                    # recv() does not suspend while frames are queued.
                    count = 0
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
    """Fill alpaca-py's table of handlers, which only lists the symbols to subscribe."""


class StockStream(_AlpacaStream, StockDataStream):
    """Stream of equities; an empty `url` is Alpaca's own."""

    def __init__(
        self, key_id: str, secret_key: str, feed: str, url: str, hooks: MessageHooks
    ) -> None:
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
    """Stream of crypto; an empty `url` is Alpaca's own."""

    def __init__(
        self, key_id: str, secret_key: str, feed: str, url: str, hooks: MessageHooks
    ) -> None:
        super().__init__(
            api_key=key_id,
            secret_key=secret_key,
            raw_data=True,
            websocket_params=PARAMETERS,
            url_override=f"{url}/v1beta3/crypto/{feed}" if url else None,
        )
        self._hooks = hooks
