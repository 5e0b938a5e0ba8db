from prometheus_client.parser import text_string_to_metric_families

from lean_lite.protocol.heartbeat import Heartbeat, Sample
from lean_lite_metrics.exposition import exposition
from lean_lite_metrics.instances import Instances

STORED = "lean_lite_store_bars_total"


def heartbeat(instance: str, stored: float, *samples: Sample, started_ns: int = 1) -> Heartbeat:
    all_samples = (Sample(STORED, {}, stored), *samples)
    return Heartbeat("store", instance, 1, started_ns, 2, version="0.1.0", samples=all_samples)


def test_the_instance_with_the_oldest_heartbeat_is_dropped_and_its_counts_stay() -> None:
    instances = Instances(5, limit=2)
    instances.on_heartbeat(heartbeat("a", 1))
    instances.on_heartbeat(heartbeat("b", 10))
    instances.on_heartbeat(heartbeat("a", 2))
    instances.on_heartbeat(heartbeat("c", 100))
    assert [instance.heartbeat.instance for instance in instances] == ["a", "c"]
    assert instances.dropped == 1
    assert instances.totals()["stored"] == 112


def test_a_process_that_restarts_under_its_old_name_does_not_lower_the_total() -> None:
    instances = Instances(5)
    instances.on_heartbeat(heartbeat("a", 50))
    instances.on_heartbeat(heartbeat("a", 3, started_ns=9))
    assert instances.totals()["stored"] == 53


def test_a_start_counts_as_a_restart_only_after_an_earlier_instance_is_gone() -> None:
    now = 0.0
    instances = Instances(5, clock=lambda: now)
    instances.on_heartbeat(heartbeat("a", 1))
    instances.on_heartbeat(heartbeat("b", 1))
    now = 1.0
    instances.on_heartbeat(heartbeat("c", 1))
    assert instances.restarts("store") == 0
    now = 6.0
    instances.on_heartbeat(heartbeat("c", 2))
    assert instances.restarts("store") == 1
    assert [instances.state(instance) for instance in instances] == ["gone", "gone", "ready"]


def test_histograms_and_escaped_labels_survive_the_text_format() -> None:
    name = "lean_lite_lag_seconds"
    escaped = 'a "quoted" \\ line\nand more'
    instances = Instances(5)
    instances.on_heartbeat(
        heartbeat(
            "a",
            1,
            Sample(f"{name}_bucket", {"le": "0.5"}, 1),
            Sample(f"{name}_bucket", {"le": "+Inf"}, 2),
            Sample(f"{name}_sum", {}, 1.25),
            Sample(f"{name}_count", {}, 2),
            Sample("lean_lite_feed", {"state": escaped}, float("inf")),
        )
    )
    families = {
        family.name: family
        for family in text_string_to_metric_families(exposition(instances).decode())
    }
    assert families[name].type == "histogram"
    assert len(families[name].samples) == 4
    (feed,) = families["lean_lite_feed"].samples
    assert (feed.labels["state"], feed.value) == (escaped, float("inf"))
