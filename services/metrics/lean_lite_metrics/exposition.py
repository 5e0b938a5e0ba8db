"""Prometheus' text format: the samples of all instances, grouped by metric."""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from lean_lite.protocol.heartbeat import Sample
from lean_lite_metrics.instances import Instance, Instances

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PARTS = ("_bucket", "_sum", "_count")


def exposition(instances: Instances) -> str:
    """
    Return all samples with the labels `service` and `instance`.

    Of an instance that is gone only its counters stay, so that no sum over instances falls.
    """
    rows = [sample for instance in instances for sample in _samples(instances, instance)]
    names = {sample.name for sample in rows}
    families: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in rows:
        families[_family(sample.name, names)].append(sample)
    return "".join(line + "\n" for line in _lines(families))


def _samples(instances: Instances, instance: Instance) -> Iterator[Sample]:
    beat = instance.heartbeat
    gone = instances.gone(instance)
    place = {"service": beat.service, "instance": beat.instance}
    yield Sample("lean_lite_up", place, float(not gone))
    if not gone:
        yield Sample("lean_lite_build_info", {**place, "version": beat.version}, 1.0)
    for sample in beat.samples:
        if not gone or sample.name.endswith("_total"):
            yield Sample(sample.name, {**sample.labels, **place}, sample.value)


def _family(name: str, names: Collection[str]) -> tuple[str, str]:
    if name.endswith("_total"):
        return name, "counter"
    for part in PARTS:
        whole = name.removesuffix(part)
        if whole != name and f"{whole}_sum" in names and f"{whole}_count" in names:
            return whole, "histogram" if f"{whole}_bucket" in names else "summary"
    if f"{name}_sum" in names and f"{name}_count" in names:
        return name, "summary"
    return name, "gauge"


def _lines(families: Mapping[tuple[str, str], Iterable[Sample]]) -> Iterator[str]:
    for (name, kind), samples in sorted(families.items()):
        yield f"# TYPE {name} {kind}"
        for sample in samples:
            labels = ",".join(f'{key}="{_escaped(text)}"' for key, text in sample.labels.items())
            yield f"{sample.name}{{{labels}}} {_number(sample.value)}"


def _number(value: float) -> str:
    special = {math.inf: "+Inf", -math.inf: "-Inf"}
    return "NaN" if math.isnan(value) else special.get(value, repr(value))


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
