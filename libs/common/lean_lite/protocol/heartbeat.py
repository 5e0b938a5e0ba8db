"""Heartbeats of services, with their Prometheus samples."""

from collections.abc import Iterator

import msgspec


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """Carry one value of one counter or gauge, named as Prometheus has it."""

    name: str
    labels: dict[str, str]
    value: float


class Heartbeat(msgspec.Struct, frozen=True):
    """
    Tell a service's state, every second.

    `failing` names what keeps it from being ready, and `outside` those of it that nobody in the
    stack can mend; `url` is where its health is served; `counted` holds its Prometheus samples.
    """

    service: str
    instance: str
    pid: int
    started_wall_ns: int
    wall_ns: int
    failing: tuple[str, ...] = ()
    url: str = ""
    version: str = ""
    samples: tuple[Sample, ...] = ()
    outside: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Say whether nothing keeps the service from working."""
        return not self.failing

    def counted(self, name: str) -> Iterator[Sample]:
        """Yield the samples of one name."""
        return (sample for sample in self.samples if sample.name == name)
