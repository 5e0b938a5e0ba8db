"""
Put the live records of one lane back into a gapless order.

Records and heads come over core NATS, which may lose both. A head names the frame before it and
how many records of each symbol its frame has; whatever does not add up is asked of the store.
This part does no input or output: it says what to deliver and when to ask.
"""

import sys
from collections.abc import Iterable

from lean_lite.messages import LiveBar, LiveHead

PENDING_FRAMES = 1_024


class Sequel:
    """
    Follow one lane from a known frame on.

    `done_seq` is the last frame that has been delivered whole. Feed it records and heads in any
    order; `take` returns what is due.
    """

    def __init__(self, symbols: Iterable[str], done_seq: int) -> None:
        """Follow some symbols of a lane; all up to `done_seq` is taken as delivered."""
        self._symbols = frozenset(symbols)
        self.done_seq = done_seq
        self._records: dict[int, dict[LiveBar, None]] = {}
        self._heads: dict[int, LiveHead] = {}

    def on_record(self, record: LiveBar) -> None:
        """Note a record; a second copy, or one of a frame already delivered, is dropped."""
        if record.seq > self.done_seq and record.symbol in self._symbols:
            self._records.setdefault(record.seq, {})[record] = None
            self._bound(self._records)

    def on_head(self, head: LiveHead) -> None:
        """Note a head; one of a frame already delivered is dropped."""
        if head.seq > self.done_seq:
            self._heads[head.seq] = head
            self._bound(self._heads)

    def take(self, room: int = sys.maxsize) -> list[LiveBar]:
        """Return whole frames of what is next until `room` is used up; they count as delivered."""
        due: list[LiveBar] = []
        while len(due) < room and (head := self._next()) is not None and self._is_whole(head):
            due += self._records.get(head.seq, ())
            self._advance(head.seq)
        return due

    @property
    def missing_seq(self) -> int | None:
        """Return the frame up to which the store must be asked, or None when nothing lacks."""
        head = self._next()
        return None if head is None or self._is_whole(head) else head.seq

    def fill(self, records: Iterable[LiveBar], through_seq: int) -> list[LiveBar]:
        """Return the store's records after `done_seq`, in order, and go on behind its snapshot."""
        due = [record for record in records if record.seq > self.done_seq]
        due.sort(key=lambda record: (record.seq, record.start_ns))
        if through_seq > self.done_seq:
            self._advance(through_seq)
        return due

    def _next(self) -> LiveHead | None:
        return self._heads[min(self._heads)] if self._heads else None

    def _is_whole(self, head: LiveHead) -> bool:
        wanted = sum(count for symbol, count in head.rows.items() if symbol in self._symbols)
        return head.prev_seq <= self.done_seq and len(self._records.get(head.seq, ())) >= wanted

    def _advance(self, seq: int) -> None:
        self.done_seq = seq
        self._records = {at: kept for at, kept in self._records.items() if at > seq}
        self._heads = {at: kept for at, kept in self._heads.items() if at > seq}

    @staticmethod
    def _bound[Kept](frames: dict[int, Kept]) -> None:
        # Whatever is let go here is still in the store.
        while len(frames) > PENDING_FRAMES:
            del frames[max(frames)]
