import socket
import subprocess
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from prometheus_client.parser import text_string_to_metric_families

GRADED = "lean_lite_validate_graded_total"
QUARANTINED = "lean_lite_validate_quarantined_total"
STORED = "lean_lite_store_bars_total"


class Instance(Protocol):
    async def beat(self, counts: dict[str, float], failing: tuple[str, ...] = ()) -> None: ...


class MetricsClient(Protocol):
    url: str

    async def text(self, path: str) -> str: ...
    async def json(self, path: str) -> Any: ...
    async def until(self, path: str, condition: Callable[[Any], bool]) -> Any: ...


AddInstance = Callable[..., Awaitable[Instance]]


def row(status: Any, instance: str) -> Any:
    return next((row for row in status["instances"] if row["instance"] == instance), None)


async def test_counters_are_summed_over_instances(
    metrics: MetricsClient, add_instance: AddInstance
) -> None:
    first = await add_instance("validate", "validate-a")
    second = await add_instance("validate", "validate-b")
    await first.beat({GRADED: 10, QUARANTINED: 1})
    await second.beat({GRADED: 5})
    totals = await metrics.until("/api/counters", lambda totals: totals["graded"] == 15)
    assert totals == {
        "published": 0,
        "graded": 15,
        "quarantined": 1,
        "repeated": 0,
        "stored": 0,
    }


async def test_a_restart_never_lowers_a_total(
    metrics: MetricsClient, add_instance: AddInstance
) -> None:
    await (await add_instance("store", "store-a")).beat({STORED: 100})
    await metrics.until("/api/status", lambda status: row(status, "store-a")["state"] == "gone")
    again = await add_instance("store", "store-b")
    await again.beat({STORED: 7})
    totals = await metrics.until("/api/counters", lambda totals: totals["stored"] != 100)
    assert totals["stored"] == 107
    await again.beat({STORED: 7})
    status = await metrics.json("/api/status")
    assert row(status, "store-b")["restarts"] == 1


async def test_status_has_the_state_of_every_instance(
    metrics: MetricsClient, add_instance: AddInstance
) -> None:
    good = await add_instance("store", "store-a")
    bad = await add_instance("ingest", "ingest-a")
    await bad.beat({}, failing=("the feed is away",))
    await good.beat({})
    status = await metrics.until("/api/status", lambda status: row(status, "store-a"))
    assert row(status, "store-a")["state"] == "ready"
    failing = row(status, "ingest-a")
    assert failing["state"] == "failing"
    assert failing["failing"] == ["the feed is away"]
    assert failing["pid"] == 4711
    assert failing["version"] == "0.1.0"
    assert failing["url"] == "http://127.0.0.1:1"


async def test_the_prometheus_page_has_the_samples_of_every_instance(
    metrics: MetricsClient, add_instance: AddInstance
) -> None:
    await (await add_instance("validate", "validate-a")).beat(
        {GRADED: 10, "lean_lite_lag_seconds": 2}
    )
    await metrics.until("/api/status", lambda status: row(status, "validate-a"))
    families = {
        family.name: family
        for family in text_string_to_metric_families(await metrics.text("/metrics"))
    }
    graded = families["lean_lite_validate_graded"]
    assert graded.type == "counter"
    (sample,) = graded.samples
    labels = {"service": "validate", "instance": "validate-a", "lane": "equity.1"}
    assert (sample.labels, sample.value) == (labels, 10)
    assert families["lean_lite_lag_seconds"].type == "gauge"
    up = {sample.labels["instance"]: sample.value for sample in families["lean_lite_up"].samples}
    assert up["validate-a"] == 1
    versions = [sample.labels["version"] for sample in families["lean_lite_build_info"].samples]
    assert "0.1.0" in versions


async def test_an_instance_that_is_gone_is_down_and_keeps_only_its_counters(
    metrics: MetricsClient, add_instance: AddInstance
) -> None:
    await (await add_instance("validate", "validate-a")).beat(
        {GRADED: 10, "lean_lite_lag_seconds": 2}
    )
    await metrics.until(
        "/api/status",
        lambda status: (row(status, "validate-a") or {"state": ""})["state"] == "gone",
    )
    text = await metrics.text("/metrics")
    assert 'lean_lite_up{instance="validate-a",service="validate"} 0.0' in text
    assert GRADED in text
    assert "lean_lite_lag_seconds" not in text


async def test_metrics_publishes_its_address_in_its_own_heartbeat(metrics: MetricsClient) -> None:
    await metrics.until(
        "/api/status", lambda status: any(r["service"] == "metrics" for r in status["instances"])
    )
    assert f'url="{metrics.url}"' in await metrics.text("/metrics")


async def test_health_probes_and_the_start_page_answer(metrics: MetricsClient) -> None:
    assert await metrics.text("/healthz") == "ok\n"
    assert await metrics.text("/readyz") == "ok\n"
    assert 'href="/api/status"' in await metrics.text("/")


async def test_the_error_for_a_port_in_use_names_the_setting(
    launch: Callable[[int], subprocess.Popen[str]],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        process = launch(port)
        _, log = process.communicate(timeout=30)
    assert process.returncode == 3
    assert f"metrics can't listen on 127.0.0.1:{port}" in log
    assert "metrics.port" in log


async def test_a_signal_stops_metrics_cleanly(
    metrics: Any,
) -> None:
    metrics.process.terminate()
    _, log = metrics.process.communicate(timeout=30)
    assert metrics.process.returncode == 0
    assert "service.stopped" in log
    assert "Traceback" not in log
