"""How far history reaches: the sequence applied of every lane of a graded stream."""

import asyncio
from collections.abc import Mapping

from lean_lite.errors import Busy
from lean_lite.protocol.subjects import stream_of
from lean_lite_store.metrics import APPLIED_SEQ


class AppliedPositions:
    """Know the last applied sequence per subject of a stream, and let requests wait for one."""

    def __init__(self, stream: str, positions: Mapping[str, int]) -> None:
        """Start where the file stands."""
        self.stream = stream
        self._positions = self._ours(positions)
        self._floor = 0
        self._changed = asyncio.Event()
        self._note()

    @property
    def max_seq(self) -> int:
        """Return the highest sequence applied; one reader takes all lanes in this order."""
        return max(self._floor, max(self._positions.values(), default=0))

    @property
    def positions(self) -> dict[str, int]:
        """Return the last applied sequence of every subject known."""
        return dict(self._positions)

    @property
    def through(self) -> dict[str, int]:
        """Return the last applied sequence of every lane known."""
        return {_lane(subject): seq for subject, seq in self._positions.items()}

    def advance(self, positions: Mapping[str, int]) -> None:
        """Note what has been committed and applied; subjects of other streams are left out."""
        self._positions.update(self._ours(positions))
        self._note()

    def skip(self, seq: int) -> None:
        """Note that the stream no longer holds anything up to a sequence: nobody need wait."""
        self._floor = max(seq, 0)
        self._note()

    def restart(self) -> None:
        """Forget all positions: another stream begins."""
        self._positions.clear()
        self._floor = 0
        self._note()

    async def wait_for(self, wanted: int, wait_s: float) -> None:
        """Return when all up to a sequence is applied; Busy when it takes longer than `wait_s`."""
        try:
            async with asyncio.timeout(wait_s):
                while self.max_seq < wanted:
                    await self._changed.wait()
        except TimeoutError:
            message = f"the store has {self.stream} up to {self.max_seq}, not {wanted}; ask again"
            raise Busy(message) from None

    def _ours(self, positions: Mapping[str, int]) -> dict[str, int]:
        return {s: seq for s, seq in positions.items() if stream_of(s) == self.stream}

    def _note(self) -> None:
        APPLIED_SEQ.labels(self.stream).set(self.max_seq)
        self._changed.set()
        self._changed = asyncio.Event()


def _lane(subject: str) -> str:
    return ".".join(subject.split(".")[-2:])
