"""How far history reaches: the GRADED sequence applied of every lane."""

import asyncio
from collections.abc import Mapping

from lean_lite.errors import Busy
from lean_lite_store.metrics import APPLIED_SEQ


class Applied:
    """Know the last applied sequence per subject, and let requests wait for one."""

    def __init__(self, positions: Mapping[str, int]) -> None:
        """Start where the file stands."""
        self._positions = dict(positions)
        self._floor = 0
        self._changed = asyncio.Event()
        self._note()

    @property
    def head(self) -> int:
        """Return the highest sequence applied; one reader takes all lanes in this order."""
        return max(self._floor, max(self._positions.values(), default=0))

    @property
    def through(self) -> dict[str, int]:
        """Return the last applied sequence of every lane known."""
        return {_lane(subject): seq for subject, seq in self._positions.items()}

    def advance(self, positions: Mapping[str, int]) -> None:
        """Note what has been committed and applied."""
        self._positions.update(positions)
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

    async def reach(self, min_seq: Mapping[str, int], wait_s: float) -> None:
        """Return when every lane has come that far; Busy when it takes longer than `wait_s`."""
        wanted = max(min_seq.values(), default=0)
        try:
            async with asyncio.timeout(wait_s):
                while self.head < wanted:
                    await self._changed.wait()
        except TimeoutError:
            message = f"the store has applied GRADED up to {self.head}, not {wanted}; ask again"
            raise Busy(message) from None

    def _note(self) -> None:
        APPLIED_SEQ.set(self.head)
        self._changed.set()
        self._changed = asyncio.Event()


def _lane(subject: str) -> str:
    return ".".join(subject.split(".")[-2:])
