"""
Validate grades every bar, once, in the order of its lane.

In: stream RAW, `md.raw.<feed>.<class>.<p>`. Out: stream GRADED, `md.graded.<class>.<p>`, exactly
one frame per RAW frame; then `md.live.…`, one message per bar. History takes a way of its own, from
BULK_RAW to BULK_GRADED, and is never live. Scale: replicas share the sixteen partitions by lease; a
lane's order is kept because one owner at a time works on it.
"""

import asyncio
from collections.abc import Callable, Iterable

from lean_lite.bus import Lease, LeaseBalancer, Leases, PositionReporter
from lean_lite.protocol import partitions, subjects
from lean_lite.protocol.partitions import ASSET_CLASSES, Lane, lanes_of_partition
from lean_lite.service import Context
from lean_lite_validate.bulk_progress import BulkProgress
from lean_lite_validate.lane_grader import LaneGrader
from lean_lite_validate.live_publisher import LivePublisher
from lean_lite_validate.metrics import PARTITIONS
from lean_lite_validate.stream_pairs import BULK, LIVE

KIND = "validate"


class ValidateService:
    """Own a fair share of the partitions and grade their lanes."""

    def __init__(self, context: Context) -> None:
        """Own nothing before `run`."""
        self._context = context
        self._keys = {
            subjects.lease(KIND, str(partition)): partition
            for partition in range(partitions.PARTITIONS)
        }
        leases = Leases(context.bus, KIND, context.instance)
        self._balancer = LeaseBalancer(leases, self._keys, self._grade_partition)
        self._position = PositionReporter(context.bus, subjects.position(KIND, context.instance))
        self._working: dict[str, int] = {}
        PARTITIONS.set_function(lambda: len(self._balancer.owned))

    async def run(self) -> None:
        """Take a share of the partitions, and give it back at the end."""
        telling = asyncio.create_task(self._position.run())
        try:
            await self._balancer.run()
        finally:
            telling.cancel()
            await asyncio.wait([telling])

    def failing(self) -> Iterable[str]:
        """Name the partitions that are ours but not at work yet."""
        owned = self._balancer.owned
        if not owned:
            yield "no partition is owned yet"
        lanes = len((LIVE, BULK)) * len(ASSET_CLASSES)
        waiting = [key for key in owned if self._working.get(key, 0) < lanes]
        if waiting:
            yield f"{len(waiting)} partitions are being taken over"

    async def _grade_partition(self, lease: Lease) -> None:
        lanes = lanes_of_partition(self._keys[lease.key])
        try:
            async with asyncio.TaskGroup() as group:
                for lane in lanes:
                    for work in (self._live(lane, lease), self._bulk(lane, lease)):
                        group.create_task(work.run(self._on_working(lease)))
        finally:
            self._working.pop(lease.key, None)
            for lane in lanes:
                self._position.forget(str(lane))

    def _on_working(self, lease: Lease) -> Callable[[], None]:
        def count() -> None:
            self._working[lease.key] = self._working.get(lease.key, 0) + 1

        return count

    def _live(self, lane: Lane, lease: Lease) -> LaneGrader:
        bus, config, _ = self._context
        fanout = LivePublisher(bus, lane, lease, config.validate.head_every_s)
        return LaneGrader(bus, lane, LIVE, lease, fanout)

    def _bulk(self, lane: Lane, lease: Lease) -> LaneGrader:
        progress = BulkProgress(lane, self._position)
        return LaneGrader(self._context.bus, lane, BULK, lease, progress)
