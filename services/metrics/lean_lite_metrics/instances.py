"""Every instance of every service that was heard, with its last beat."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from lean_lite.protocol.heartbeat import Heartbeat

INSTANCES = 256

Key = tuple[str, str]


class Instance:
    """Hold the last beat of one process; the times are those of our monotonic clock."""

    def __init__(self, beat: Heartbeat, heard_at: float) -> None:
        """Start with the first beat."""
        self.heartbeat = beat
        self.first_at = heard_at
        self.last_at = heard_at

    def update(self, beat: Heartbeat, heard_at: float) -> None:
        """Take a later beat."""
        self.heartbeat = beat
        self.last_at = heard_at


class Instances:
    """
    Keep the last beats of at most `limit` instances; the one silent for longest goes first.

    What a dropped instance has counted stays in the totals.
    """

    def __init__(
        self,
        gone_s: float,
        *,
        limit: int = INSTANCES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Know nobody; an instance silent for `gone_s` counts as gone."""
        self.dropped = 0
        self._gone_s = gone_s
        self._limit = limit
        self._clock = clock
        self._by_key: dict[Key, Instance] = {}
        self._retired: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Instance]:
        """Yield the instances by service and name."""
        return iter([self._by_key[key] for key in sorted(self._by_key)])

    def on_heartbeat(self, beat: Heartbeat) -> None:
        """Take a beat; one that comes with an earlier process' name starts anew."""
        key = (beat.service, beat.instance)
        known = self._by_key.pop(key, None)
        if known is not None and known.heartbeat.started_wall_ns != beat.started_wall_ns:
            self._retired.update(_counts(known.heartbeat))
            known = None
        # Put back at the end: the first one is always the one silent for longest.
        if known is None:
            known = Instance(beat, self._clock())
        known.update(beat, self._clock())
        self._by_key[key] = known
        if len(self._by_key) > self._limit:
            oldest = self._by_key.pop(next(iter(self._by_key)))
            self._retired.update(_counts(oldest.heartbeat))
            self.dropped += 1

    def age_s(self, instance: Instance) -> float:
        """Return how long an instance has been silent."""
        return self._clock() - instance.last_at

    def gone(self, instance: Instance) -> bool:
        """Say whether an instance is silent for too long."""
        return self.age_s(instance) > self._gone_s

    def state(self, instance: Instance) -> str:
        """Return `ready`, `failing` or `gone`."""
        if self.gone(instance):
            return "gone"
        return "ready" if instance.heartbeat.ready else "failing"

    def restarts(self, service: str) -> int:
        """Return how many gone instances of a service were each followed by another one."""
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
        """Return the counts by hop, summed over all instances that ever were."""
        total = Counter(self._retired)
        for instance in self._by_key.values():
            total.update(_counts(instance.heartbeat))
        return {hop: total[hop] for hop in HOPS}


def _counts(beat: Heartbeat) -> dict[str, float]:
    return {hop: _sum(sample.value for sample in beat.counted(name)) for hop, name in HOPS.items()}


def _sum(values: Iterable[float]) -> float:
    return sum(values, 0.0)


HOPS = {
    "published": "lean_lite_ingest_published_total",
    "graded": "lean_lite_validate_graded_total",
    "quarantined": "lean_lite_validate_quarantined_total",
    "repeated": "lean_lite_validate_repeated_total",
    "stored": "lean_lite_store_bars_total",
}
