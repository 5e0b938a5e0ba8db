"""Validate, store and ingest of one client in memory, behind the calls that `Live` makes."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import numpy as np

from lean_lite.blocks import Block, encode_block
from lean_lite.bus import Bus
from lean_lite.bus.requests import CHUNKS, CREDIT
from lean_lite.config import BusConfig
from lean_lite.protocol import subjects
from lean_lite.protocol.control import SubscribeReply, SubscribeRequest
from lean_lite.protocol.history import HistoryReply, HistoryRequest
from lean_lite.protocol.live import LiveBar, Watermark
from lean_lite.protocol.partitions import lane_of
from tests.harness.bars import MINUTE_NS, NINE_THIRTY_NS, Row, block_of, live_bar

encode = msgspec.msgpack.encode
decode = msgspec.msgpack.decode
OnMessage = Callable[[Any], Awaitable[None]]


class MemoryBus:
    """
    One symbol's frames of one bar each; frame n has the bar of minute n.

    `publish` stores frames and sends them live; `lose` only stores them. `feed` is the feed that
    accepts subscriptions.
    """

    max_payload = 1024**2

    def __init__(self, symbol: str = "SPY", feed: str = "iex") -> None:
        self.symbol = symbol
        self.lane = lane_of(symbol)
        self.feed = feed
        self.config = BusConfig(request_timeout_s=1.0)
        self.connection = SimpleNamespace(
            new_inbox=self._new_inbox, publish=self._request, max_payload=self.max_payload
        )
        self.end_seq = 0
        self.requests: list[HistoryRequest] = []
        self._inboxes = 0
        self._subscribers: dict[str, list[OnMessage]] = {}

    @property
    def bus(self) -> Bus:
        return cast("Bus", self)

    @property
    def subscribed(self) -> list[str]:
        return [subject for subject, subscribers in self._subscribers.items() if subscribers]

    def record(self, seq: int) -> LiveBar:
        return live_bar(symbol=self.symbol, seq=seq, start_ns=NINE_THIRTY_NS + seq * MINUTE_NS)

    async def publish_frames(self, *seqs: int) -> None:
        for seq in seqs:
            self.lose(seq)
            await self._send(subjects.live_bar(self.symbol), encode(self.record(seq)))
            watermark = Watermark(seq, seq - 1, {self.symbol: 1})
            await self._send(subjects.watermark(self.lane), encode(watermark))

    async def publish_invalid(self, record: LiveBar) -> None:
        await self._send(subjects.live_invalid(self.symbol), encode(record))

    def lose(self, seq: int) -> None:
        """Store a frame that does not arrive live."""
        self.end_seq = max(self.end_seq, seq)

    async def subscribe(self, subject: str, on_message: OnMessage, *, pending: int = 0) -> Any:
        self._subscribers.setdefault(subject, []).append(on_message)
        return SimpleNamespace(subject=subject, on_message=on_message)

    async def unsubscribe(self, subscription: Any) -> None:
        self._subscribers[subscription.subject].remove(subscription.on_message)

    async def publish(self, subject: str, payload: bytes) -> None:
        """Take the credit of chunked replies."""

    async def flush(self) -> None:
        pass

    def _new_inbox(self) -> str:
        self._inboxes += 1
        return f"_INBOX.{self._inboxes}"

    async def _request(self, subject: str, payload: bytes, *, reply: str) -> None:
        if subject == subjects.HISTORY:
            await self._send_history(reply, decode(payload, type=HistoryRequest))
        else:
            symbols = decode(payload, type=SubscribeRequest).symbols
            accepted = SubscribeReply(symbols, feeds=dict.fromkeys(symbols, self.feed))
            await self._send(reply, encode(accepted))

    async def _send_history(self, inbox: str, request: HistoryRequest) -> None:
        self.requests.append(request)
        after = request.after.get(str(self.lane), 0)
        seqs = range(after + 1, self.end_seq + 1) if request.symbols else ()
        blocks = [self.block(seqs)] if seqs else []
        reply = HistoryReply({str(self.lane): self.end_seq}, len(seqs), len(blocks))
        headers = {CHUNKS: str(len(blocks)), CREDIT: "credit"}
        await self._send(inbox, encode(reply), headers)
        for block in blocks:
            await self._send(inbox, encode_block(block))

    def block(self, seqs: Iterable[int]) -> Block:
        numbers = list(seqs)
        block = block_of([Row(self.symbol).at(seq) for seq in numbers], feed=self.feed)
        return block.with_columns(
            level=np.full(len(numbers), 4, "|u1"),
            reasons=np.zeros(len(numbers), "<u8"),
            seq=np.array(numbers, "<i8"),
            stored_ns=np.ones(len(numbers), "<i8"),
        )

    async def _send(
        self, subject: str, data: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        message = SimpleNamespace(subject=subject, data=data, headers=headers)
        for on_message in tuple(self._subscribers.get(subject, ())):
            await on_message(message)
