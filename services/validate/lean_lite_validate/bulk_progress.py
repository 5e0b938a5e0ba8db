"""Tell how far a lane of bulk frames has been graded; nobody follows these live."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType

from lean_lite.blocks import Block
from lean_lite.bus import PositionReporter
from lean_lite.protocol.partitions import Lane

NO_ROWS: Mapping[str, int] = MappingProxyType({})


class BulkProgress:
    """Note each graded frame of one lane in this process's position."""

    def __init__(self, lane: Lane, position: PositionReporter) -> None:
        """Note nothing before the first frame."""
        self._lane = str(lane)
        self._position = position

    def on_graded(self, raw_seq: int) -> None:
        """Note a frame."""
        self._position.update(self._lane, raw_seq)

    async def on_rows(self, block: Block, seq: int, prev_seq: int, wall_ns: int) -> None:
        """Publish nothing: the store answers with these bars."""

    async def on_watermark(
        self, seq: int, prev_seq: int, rows: Mapping[str, int] = NO_ROWS
    ) -> None:
        """Publish nothing."""

    async def repeat_watermarks(self) -> None:
        """Wait until cancelled."""
        await asyncio.Event().wait()
