"""Heartbeat of a process, with its Prometheus samples."""

from collections.abc import Iterator

import msgspec


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """
    Value of one counter or gauge.

    Attributes:
        name: name in Prometheus, such as `lean_lite_store_bars_total`.
        labels: its labels.
        value: its value, in the unit of its name.
    """

    name: str
    labels: dict[str, str]
    value: float


class Heartbeat(msgspec.Struct, frozen=True):
    """
    State and metrics of a process, published every second.

    Times are in ns since 1970 UTC by the clock of the machine.

    Attributes:
        service: name of the service, such as `store`.
        instance: name of the process.
        pid: process id.
        started_wall_ns: time when the process started.
        wall_ns: time of the heartbeat.
        failing: reasons why the service is not ready. Default: none, it is ready.
        url: address of its health endpoints. Default: empty, it has none.
        version: version of Lean-Lite. Default: empty.
        samples: its metrics. Default: none.
        outside: those reasons of `failing` that lie outside of the stack (the vendor is down, keys
            are wrong): a stack starts in spite of them. Default: none.
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
        """Whether nothing keeps the service from working."""
        return not self.failing

    def counted(self, name: str) -> Iterator[Sample]:
        """Yield the samples with a name."""
        return (sample for sample in self.samples if sample.name == name)
