"""Prometheus' text format: the samples of all instances, labelled with service and instance."""

from collections.abc import Collection, Iterable, Iterator

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector

from lean_lite.protocol.heartbeat import Sample
from lean_lite_metrics.instances import Instance, Instances

SUFFIXES = ("_bucket", "_sum", "_count")


class InstanceCollector(Collector):
    """
    Collector of the samples that the last heartbeats carried.

    Of an instance that is gone only its counters stay, so that no sum over instances falls.
    """

    def __init__(self, instances: Instances) -> None:
        self._instances = instances

    def collect(self) -> Iterable[Metric]:
        """Return one metric per family, sorted by name."""
        samples = [one for each in self._instances for one in _samples(self._instances, each)]
        names = {sample.name for sample in samples}
        families: dict[str, Metric] = {}
        for sample in samples:
            name, kind = _family(sample.name, names)
            metric = families.setdefault(name, Metric(name, "", kind))
            metric.add_sample(sample.name, sample.labels, sample.value)
        return [families[name] for name in sorted(families)]


def exposition(instances: Instances) -> bytes:
    """Return all samples in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(InstanceCollector(instances))
    return generate_latest(registry)


def _samples(instances: Instances, instance: Instance) -> Iterator[Sample]:
    heartbeat = instance.heartbeat
    gone = instances.gone(instance)
    process = {"service": heartbeat.service, "instance": heartbeat.instance}
    yield Sample("lean_lite_up", process, float(not gone))
    if not gone:
        yield Sample("lean_lite_build_info", {**process, "version": heartbeat.version}, 1.0)
    for sample in heartbeat.samples:
        if not gone or sample.name.endswith("_total"):
            yield Sample(sample.name, {**sample.labels, **process}, sample.value)


def _family(name: str, names: Collection[str]) -> tuple[str, str]:
    """Return name and type of a sample's family; heartbeats carry neither."""
    if name.endswith("_total"):
        return name.removesuffix("_total"), "counter"
    for suffix in SUFFIXES:
        base = name.removesuffix(suffix)
        if base != name and f"{base}_sum" in names and f"{base}_count" in names:
            return base, "histogram" if f"{base}_bucket" in names else "summary"
    if f"{name}_sum" in names and f"{name}_count" in names:
        return name, "summary"
    return name, "gauge"
