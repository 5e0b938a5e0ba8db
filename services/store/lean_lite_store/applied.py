"""Last applied sequence per lane of a graded stream, and waiting for one."""

import asyncio
from collections.abc import Mapping

from lean_lite.errors import Busy
from lean_lite.protocol.subjects import stream_of
from lean_lite_store.metrics import APPLIED_SEQ


class AppliedPositions:
    """Last applied sequence per subject of a stream."""

    def __init__(self, stream: str, positions: Mapping[str, int]) -> None:
        self.stream = stream
        self._positions = self._of_stream(positions)
        self._floor = 0
        self._changed = asyncio.Event()
        self._notify()

    @property
    def max_seq(self) -> int:
        """Highest applied sequence; one reader takes all lanes in the order of the stream."""
        return max(self._floor, max(self._positions.values(), default=0))

    @property
    def positions(self) -> dict[str, int]:
        """Last applied sequence by subject."""
        return dict(self._positions)

    @property
    def through(self) -> dict[str, int]:
        """Last applied sequence by lane."""
        return {_lane(subject): seq for subject, seq in self._positions.items()}

    def advance(self, positions: Mapping[str, int]) -> None:
        """Note committed and applied positions; subjects of other streams are ignored."""
        self._positions.update(self._of_stream(positions))
        self._notify()

    def skip(self, seq: int) -> None:
        """Note that the stream no longer holds frames up to `seq`: waiting for them ends."""
        self._floor = max(seq, 0)
        self._notify()

    def restart(self) -> None:
        """Remove all positions: the stream was replaced."""
        self._positions.clear()
        self._floor = 0
        self._notify()

    async def wait_for(self, seq: int, wait_s: float) -> None:
        """Wait until everything up to `seq` is applied; Busy after `wait_s`."""
        try:
            async with asyncio.timeout(wait_s):
                while self.max_seq < seq:
                    await self._changed.wait()
        except TimeoutError:
            message = f"the store has {self.stream} up to {self.max_seq}, not {seq}; try again"
            raise Busy(message) from None

    def _of_stream(self, positions: Mapping[str, int]) -> dict[str, int]:
        return {s: seq for s, seq in positions.items() if stream_of(s) == self.stream}

    def _notify(self) -> None:
        APPLIED_SEQ.labels(self.stream).set(self.max_seq)
        self._changed.set()
        self._changed = asyncio.Event()


def _lane(subject: str) -> str:
    return ".".join(subject.split(".")[-2:])
