"""
Put the live records of one lane back into a gapless order.

Records and heads come over core NATS, which may lose both. A head names the frame before it and
how many records of each symbol its frame has; whatever does not add up is asked of the store.
This part does no input or output: it says what to deliver and when to ask.
"""

import sys
from collections.abc import Iterable
from heapq import heapify, heappop, heappush

from lean_lite.messages import LiveBar, LiveHead

# Records and heads are read from the socket by turns: all that it held of the one, then of the
# other. A full one holds some 1,200 frames.
PENDING_FRAMES = 4_096


class Sequel:
    """
    Follow one lane from a known frame on.

    `done_seq` is the last frame that has been delivered whole. Feed it records and heads in any
    order; `take` returns what is due.
    """

    def __init__(self, symbols: Iterable[str], done_seq: int) -> None:
        """Follow some symbols of a lane; all up to `done_seq` is taken as delivered."""
        self.symbols = frozenset(symbols)
        self.done_seq = done_seq
        self._records: Frames[dict[LiveBar, None]] = Frames()
        self._heads: Frames[LiveHead] = Frames()

    def on_record(self, record: LiveBar) -> None:
        """Note a record; a second copy, or one of a frame already delivered, is dropped."""
        seq = record.seq
        if seq > self.done_seq and record.symbol in self.symbols:
            of_frame = self._records.get(seq)
            if of_frame is None:
                self._records.put(seq, {record: None})
            else:
                of_frame[record] = None

    def on_head(self, head: LiveHead) -> None:
        """Note a head; one of a frame already delivered is dropped."""
        if head.seq > self.done_seq:
            self._heads.put(head.seq, head)

    def take(self, room: int = sys.maxsize) -> list[LiveBar]:
        """Return whole frames of what is next until `room` is used up; they count as delivered."""
        due: list[LiveBar] = []
        while len(due) < room and (head := self._heads.first) is not None and self._is_whole(head):
            due += self._records.get(head.seq) or ()
            self._advance(head.seq)
        return due

    @property
    def waiting(self) -> bool:
        """Say whether there is a head that has come before its records."""
        return self._heads.first is not None

    @property
    def missing_seq(self) -> int | None:
        """Return the frame up to which the store must be asked, or None when nothing lacks."""
        head = self._heads.first
        return None if head is None or self._is_whole(head) else head.seq

    def fill(self, records: Iterable[LiveBar], through_seq: int) -> list[LiveBar]:
        """Return the store's records after `done_seq`, in order, and go on behind its snapshot."""
        due = [record for record in records if record.seq > self.done_seq]
        due.sort(key=lambda record: (record.seq, record.start_ns))
        if through_seq > self.done_seq:
            self._advance(through_seq)
        return due

    def _is_whole(self, head: LiveHead) -> bool:
        # A head names all symbols of the lane: in a whole market they are many more than ours.
        wanted = sum([head.rows[symbol] for symbol in head.rows.keys() & self.symbols])
        return head.prev_seq <= self.done_seq and len(self._records.get(head.seq) or ()) >= wanted

    def _advance(self, seq: int) -> None:
        self.done_seq = seq
        self._records.let_go(seq)
        self._heads.let_go(seq)


class Frames[Kept]:
    """Keep something for each of some frames, the first one at hand; what is newest is let go."""

    def __init__(self) -> None:
        """Start with none."""
        self._kept: dict[int, Kept] = {}
        self._seqs: list[int] = []

    @property
    def first(self) -> Kept | None:
        """Return what is kept for the first frame."""
        return self._kept[self._seqs[0]] if self._seqs else None

    def get(self, seq: int) -> Kept | None:
        """Return what is kept for a frame."""
        return self._kept.get(seq)

    def put(self, seq: int, kept: Kept) -> None:
        """Keep it; beyond the bound the newest frame goes: it is still in the store."""
        if seq not in self._kept:
            heappush(self._seqs, seq)
        self._kept[seq] = kept
        if len(self._kept) > PENDING_FRAMES:
            newest = max(self._seqs)
            self._seqs.remove(newest)
            heapify(self._seqs)
            del self._kept[newest]

    def let_go(self, seq: int) -> None:
        """Keep nothing for frames up to this one."""
        while self._seqs and self._seqs[0] <= seq:
            del self._kept[heappop(self._seqs)]
