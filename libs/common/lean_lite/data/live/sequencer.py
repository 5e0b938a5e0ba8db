"""
Sequencer: put the live records of one lane back into gapless order, without I/O.

Records and watermarks come over core NATS, which may lose, repeat and reorder them. A watermark
names the frame before its own and the number of records of each symbol in its frame. The sequencer
reports which frames are due, and which are missing and have to be fetched from the store.
"""

import sys
from collections.abc import Iterable
from heapq import heapify, heappop, heappush

from lean_lite.protocol.live import LiveBar, Watermark

# Records and watermarks are read from the socket in turn: all records in its buffer, then all
# watermarks. A full buffer holds some 1,200 frames.
PENDING_FRAMES = 4_096

# Sequence of a frame, of the frame before, and the number of records of the followed symbols.
PendingFrame = tuple[int, int, int]


class Sequencer:
    """
    Order of one lane's frames, from a frame on that was delivered.

    Pass records and watermarks in the order of arrival; `pop_due` returns the frames that are due.
    At most `PENDING_FRAMES` frames wait; of more the oldest stay, since they are due first.

    Args:
        symbols: the followed symbols of the lane.
        done_seq: sequence of the last frame that counts as delivered.

    Attributes:
        symbols: the followed symbols.
        done_seq: sequence of the last frame that was delivered completely.
    """

    def __init__(self, symbols: Iterable[str], done_seq: int) -> None:
        self.symbols = frozenset(symbols)
        self.done_seq = done_seq
        self._records: dict[int, dict[LiveBar, None]] = {}
        self._watermarks: list[PendingFrame] = []

    def on_record(self, record: LiveBar) -> None:
        """Add a record; a duplicate and one of a delivered frame are dropped."""
        seq = record.seq
        if seq > self.done_seq and record.symbol in self.symbols:
            of_frame = self._records.get(seq)
            if of_frame is None:
                self._records[seq] = {record: None}
                if len(self._records) > PENDING_FRAMES:
                    del self._records[max(self._records)]
            else:
                of_frame[record] = None

    def on_watermark(self, watermark: Watermark) -> None:
        """Add a watermark; one of a delivered frame is dropped."""
        if watermark.seq > self.done_seq:
            # It has all symbols of the lane: in a full market many more than are followed.
            rows = watermark.rows
            expected = sum([rows[symbol] for symbol in rows.keys() & self.symbols])
            heappush(self._watermarks, (watermark.seq, watermark.prev_seq, expected))
            if len(self._watermarks) > PENDING_FRAMES:
                self._watermarks.remove(max(self._watermarks))
                heapify(self._watermarks)

    def pop_due(self, room: int = sys.maxsize) -> list[LiveBar]:
        """
        Return the records of the next complete frames, which then count as delivered.

        Frames are returned until `room` is used up; the last one may exceed it.
        """
        due: list[LiveBar] = []
        while len(due) < room and self.has_pending and self._is_complete(self._watermarks[0]):
            seq, _, _ = heappop(self._watermarks)
            due += self._records.pop(seq, ())
            self.done_seq = seq
        return due

    @property
    def has_pending(self) -> bool:
        """Whether there is a watermark whose frame has not been delivered."""
        while self._watermarks and self._watermarks[0][0] <= self.done_seq:
            heappop(self._watermarks)
        return bool(self._watermarks)

    @property
    def missing_seq(self) -> int | None:
        """Sequence up to which frames must be fetched from the store; None if none is missing."""
        return (
            self._watermarks[0][0]
            if self.has_pending and not self._is_complete(self._watermarks[0])
            else None
        )

    def apply_snapshot(self, records: Iterable[LiveBar], through_seq: int) -> list[LiveBar]:
        """
        Return the store's records after `done_seq` in order, and continue after the snapshot.

        Args:
            records: records of the snapshot in any order, none after `through_seq`.
            through_seq: sequence of the last frame that the snapshot includes.
        """
        due = [record for record in records if record.seq > self.done_seq]
        due.sort(key=lambda record: (record.seq, record.start_ns))
        if through_seq > self.done_seq:
            self.done_seq = through_seq
            self._records = {seq: own for seq, own in self._records.items() if seq > through_seq}
        return due

    def _is_complete(self, frame: PendingFrame) -> bool:
        seq, prev_seq, expected = frame
        return prev_seq <= self.done_seq and len(self._records.get(seq, ())) >= expected
