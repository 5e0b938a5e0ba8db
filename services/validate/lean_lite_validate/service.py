"""
Validate grades every bar, once, in the order of its lane.

In: stream RAW, `md.raw.<feed>.<class>.<p>`. Out: stream GRADED, `md.graded.<class>.<p>`, exactly
one frame per RAW frame; then `md.live.…`, one message per bar. Scale: replicas share the sixteen
partitions by lease; a lane's order is kept because one owner at a time works on it.
"""

import asyncio
from collections.abc import Callable, Iterable

from lean_lite import subjects
from lean_lite.bus import Lease, Leases, Shares
from lean_lite.service import Context
from lean_lite_validate.counters import PARTITIONS
from lean_lite_validate.fanout import Fanout
from lean_lite_validate.lane import GradedLane

KIND = "validate"


class ValidateService:
    """Own a fair share of the partitions and grade their lanes."""

    def __init__(self, context: Context) -> None:
        """Own nothing before `run`."""
        self._context = context
        self._keys = {
            subjects.lease(KIND, str(partition)): partition
            for partition in range(subjects.PARTITIONS)
        }
        leases = Leases(context.bus, KIND, context.instance)
        self._shares = Shares(leases, self._keys, self._own)
        self._working: dict[str, int] = {}
        PARTITIONS.set_function(lambda: len(self._shares.owned))

    async def run(self) -> None:
        """Take a share of the partitions, and give it back at the end."""
        await self._shares.run()

    def failing(self) -> Iterable[str]:
        """Name the partitions that are ours but not at work yet."""
        owned = self._shares.owned
        if not owned:
            yield "no partition is owned yet"
        lanes = len(subjects.ASSET_CLASSES)
        waiting = [key for key in owned if self._working.get(key, 0) < lanes]
        if waiting:
            yield f"{len(waiting)} partitions are being taken over"

    async def _own(self, lease: Lease) -> None:
        lanes = [
            GradedLane(self._context.bus, lane, lease, self._fanout(lane, lease))
            for lane in subjects.lanes_of_partition(self._keys[lease.key])
        ]
        try:
            async with asyncio.TaskGroup() as group:
                for lane in lanes:
                    group.create_task(lane.run(self._on_working(lease)))
        finally:
            self._working.pop(lease.key, None)

    def _on_working(self, lease: Lease) -> Callable[[], None]:
        def count() -> None:
            self._working[lease.key] = self._working.get(lease.key, 0) + 1

        return count

    def _fanout(self, lane: subjects.Lane, lease: Lease) -> Fanout:
        return Fanout(self._context.bus, lane, lease, self._context.config.validate.head_every_s)
