"""Instances of all services, with their last heartbeat; totals per hop."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from lean_lite.protocol.heartbeat import Heartbeat

INSTANCES = 256

Key = tuple[str, str]

# The counter of bars that have passed each hop of the pipeline.
HOPS = {
    "published": "lean_lite_ingest_published_total",
    "graded": "lean_lite_validate_graded_total",
    "quarantined": "lean_lite_validate_quarantined_total",
    "repeated": "lean_lite_validate_repeated_total",
    "stored": "lean_lite_store_bars_total",
}


class Instance:
    """Last heartbeat of one process; times are of this process' monotonic clock."""

    def __init__(self, heartbeat: Heartbeat, received_at: float) -> None:
        self.heartbeat = heartbeat
        self.first_at = received_at
        self.last_at = received_at

    def update(self, heartbeat: Heartbeat, received_at: float) -> None:
        """Replace the heartbeat by a later one."""
        self.heartbeat = heartbeat
        self.last_at = received_at


class Instances:
    """
    The last heartbeats of at most `limit` instances; the one silent for longest is dropped first.

    An instance silent for `gone_s` is gone. What a dropped one has counted stays in the totals.
    """

    def __init__(
        self,
        gone_s: float,
        *,
        limit: int = INSTANCES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.dropped = 0
        self._gone_s = gone_s
        self._limit = limit
        self._clock = clock
        self._by_key: dict[Key, Instance] = {}
        self._retired: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Instance]:
        """Yield the instances by service and name."""
        return iter([self._by_key[key] for key in sorted(self._by_key)])

    def on_heartbeat(self, heartbeat: Heartbeat) -> None:
        """Note a heartbeat; another process under an earlier one's name is a new instance."""
        key = (heartbeat.service, heartbeat.instance)
        known = self._by_key.pop(key, None)
        if known is not None and known.heartbeat.started_wall_ns != heartbeat.started_wall_ns:
            self._retired.update(_counts(known.heartbeat))
            known = None
        # Put back at the end: the first one is always the one silent for longest.
        if known is None:
            known = Instance(heartbeat, self._clock())
        known.update(heartbeat, self._clock())
        self._by_key[key] = known
        if len(self._by_key) > self._limit:
            oldest = self._by_key.pop(next(iter(self._by_key)))
            self._retired.update(_counts(oldest.heartbeat))
            self.dropped += 1

    def age_s(self, instance: Instance) -> float:
        """Return how long an instance has been silent."""
        return self._clock() - instance.last_at

    def gone(self, instance: Instance) -> bool:
        """Whether an instance is silent for too long."""
        return self.age_s(instance) > self._gone_s

    def state(self, instance: Instance) -> str:
        """Return `ready`, `failing` or `gone`."""
        if self.gone(instance):
            return "gone"
        return "ready" if instance.heartbeat.ready else "failing"

    def restarts(self, service: str) -> int:
        """Count the gone instances of a service that were each followed by another one."""
        ours = [instance for instance in self if instance.heartbeat.service == service]
        ends = sorted(instance.last_at for instance in ours if self.gone(instance))
        starts = sorted(instance.first_at for instance in ours)
        count = 0
        for ended_at in ends:
            while starts and starts[0] <= ended_at:
                starts.pop(0)
            if starts:
                starts.pop(0)
                count += 1
        return count

    def totals(self) -> dict[str, float]:
        """Return the counts by hop, summed over all instances since the start."""
        total = Counter(self._retired)
        for instance in self._by_key.values():
            total.update(_counts(instance.heartbeat))
        return {hop: total[hop] for hop in HOPS}


def _counts(heartbeat: Heartbeat) -> dict[str, float]:
    return {
        hop: _sum(sample.value for sample in heartbeat.counted(name)) for hop, name in HOPS.items()
    }


def _sum(values: Iterable[float]) -> float:
    return sum(values, 0.0)
