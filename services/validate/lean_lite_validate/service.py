"""
Validate grades every bar, once, in the order of its lane.

In: stream RAW, `md.raw.<feed>.<class>.<p>`. Out: stream GRADED, `md.graded.<class>.<p>`, exactly
one frame per RAW frame; then `md.live.…`, one message per bar. Bulk history goes from BULK_RAW to
BULK_GRADED and is never live. Scale: replicas share the sixteen partitions by lease; a lane keeps
its order because one owner at a time grades it.
"""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

from lean_lite.bus import Lease, LeaseBalancer, Leases, PositionReporter
from lean_lite.protocol import partitions, subjects
from lean_lite.protocol.partitions import ASSET_CLASSES, Lane, lanes_of_partition
from lean_lite.service import Context
from lean_lite_validate import metrics
from lean_lite_validate.lane_grader import LaneGrader
from lean_lite_validate.live_publisher import LivePublisher
from lean_lite_validate.stream_pairs import BULK, LIVE

KIND = "validate"


class ValidateService:
    """Owner of a fair share of the partitions, whose lanes it grades."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._keys = {
            subjects.lease(KIND, str(partition)): partition
            for partition in range(partitions.PARTITIONS)
        }
        leases = Leases(context.bus, KIND, context.instance)
        self._balancer = LeaseBalancer(leases, self._keys, self._grade_partition)
        self._position = PositionReporter(context.bus, subjects.position(KIND, context.instance))
        self._ready_lanes: dict[str, int] = {}
        metrics.PARTITIONS.set_function(lambda: len(self._balancer.owned))

    async def run(self) -> None:
        """Own and grade a share of the partitions until cancelled; then release it."""
        reporting = asyncio.create_task(self._position.run())
        try:
            await self._balancer.run()
        finally:
            reporting.cancel()
            await asyncio.wait([reporting])

    def failing(self) -> Iterable[str]:
        """Yield what is missing: a partition, or lanes that are not graded yet."""
        owned = self._balancer.owned
        if not owned:
            yield "no partition is owned yet"
        lanes = len((LIVE, BULK)) * len(ASSET_CLASSES)
        waiting = [key for key in owned if self._ready_lanes.get(key, 0) < lanes]
        if waiting:
            yield f"{len(waiting)} partitions are being taken over"

    async def _grade_partition(self, lease: Lease) -> None:
        lanes = lanes_of_partition(self._keys[lease.key])
        try:
            async with asyncio.TaskGroup() as group:
                for lane in lanes:
                    for grader in (self._live_grader(lane, lease), self._bulk_grader(lane, lease)):
                        group.create_task(grader.run(self._count_ready(lease)))
        finally:
            self._ready_lanes.pop(lease.key, None)
            for lane in lanes:
                self._position.forget(str(lane))

    def _count_ready(self, lease: Lease) -> Callable[[], None]:
        def count() -> None:
            self._ready_lanes[lease.key] = self._ready_lanes.get(lease.key, 0) + 1

        return count

    def _live_grader(self, lane: Lane, lease: Lease) -> LaneGrader:
        bus, config, _ = self._context
        live = LivePublisher(bus, lane, lease, config.validate.watermark_every_s)
        return LaneGrader(bus, lane, LIVE, lease, live=live)

    def _bulk_grader(self, lane: Lane, lease: Lease) -> LaneGrader:
        on_graded = partial(self._position.update, str(lane))
        return LaneGrader(self._context.bus, lane, BULK, lease, on_graded=on_graded)
