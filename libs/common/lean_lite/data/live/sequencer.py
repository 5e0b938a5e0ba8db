"""
Put the live records of one lane back into a gapless order.

Records and heads come over core NATS, which may lose both. A head names the frame before it and
how many records of each symbol its frame has; whatever does not add up is asked of the store.
This part does no input or output: it says what to deliver and when to ask.
"""

import sys
from collections.abc import Iterable
from heapq import heapify, heappop, heappush

from lean_lite.protocol.live import LiveBar, Watermark

# Records and heads are read from the socket by turns: all that it held of the one, then of the
# other. A full one holds some 1,200 frames.
PENDING_FRAMES = 4_096

# A head's frame, the one before, and how many records of our symbols it has.
PendingFrame = tuple[int, int, int]


class Sequencer:
    """
    Follow one lane from a known frame on.

    `done_seq` is the last frame that has been delivered whole. Feed it records and heads in any
    order; `take` returns what is due.
    """

    def __init__(self, symbols: Iterable[str], done_seq: int) -> None:
        """Follow some symbols of a lane; all up to `done_seq` is taken as delivered."""
        self.symbols = frozenset(symbols)
        self.done_seq = done_seq
        self._records: dict[int, dict[LiveBar, None]] = {}
        self._watermarks: list[PendingFrame] = []

    def on_record(self, record: LiveBar) -> None:
        """Note a record; a second copy, or one of a frame already delivered, is dropped."""
        seq = record.seq
        if seq > self.done_seq and record.symbol in self.symbols:
            of_frame = self._records.get(seq)
            if of_frame is None:
                self._records[seq] = {record: None}
                if len(self._records) > PENDING_FRAMES:
                    del self._records[max(self._records)]
            else:
                of_frame[record] = None

    def on_watermark(self, head: Watermark) -> None:
        """Note a head; one of a frame already delivered is dropped."""
        if head.seq > self.done_seq:
            # It names all symbols of the lane: in a whole market they are many more than ours.
            wanted = sum([head.rows[symbol] for symbol in head.rows.keys() & self.symbols])
            heappush(self._watermarks, (head.seq, head.prev_seq, wanted))
            if len(self._watermarks) > PENDING_FRAMES:
                self._watermarks.remove(max(self._watermarks))
                heapify(self._watermarks)

    def take(self, room: int = sys.maxsize) -> list[LiveBar]:
        """Return whole frames of what is next until `room` is used up; they count as delivered."""
        due: list[LiveBar] = []
        while len(due) < room and self.has_pending and self._is_whole(self._watermarks[0]):
            seq, _, _ = heappop(self._watermarks)
            due += self._records.pop(seq, ())
            self.done_seq = seq
        return due

    @property
    def has_pending(self) -> bool:
        """Say whether there is a head whose frame has not been delivered."""
        while self._watermarks and self._watermarks[0][0] <= self.done_seq:
            heappop(self._watermarks)
        return bool(self._watermarks)

    @property
    def missing_seq(self) -> int | None:
        """Return the frame up to which the store must be asked, or None when nothing lacks."""
        return (
            self._watermarks[0][0]
            if self.has_pending and not self._is_whole(self._watermarks[0])
            else None
        )

    def apply_snapshot(self, records: Iterable[LiveBar], through_seq: int) -> list[LiveBar]:
        """Return the store's records after `done_seq`, in order, and go on behind its snapshot."""
        due = [record for record in records if record.seq > self.done_seq]
        due.sort(key=lambda record: (record.seq, record.start_ns))
        if through_seq > self.done_seq:
            self.done_seq = through_seq
            self._records = {at: kept for at, kept in self._records.items() if at > through_seq}
        return due

    def _is_whole(self, head: PendingFrame) -> bool:
        seq, prev_seq, wanted = head
        return prev_seq <= self.done_seq and len(self._records.get(seq, ())) >= wanted
