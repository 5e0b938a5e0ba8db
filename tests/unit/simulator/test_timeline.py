from collections import Counter

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_lite_sim.faults import FaultHistory, Faults, first_version
from lean_lite_sim.market.market import Market
from lean_lite_sim.market.timeframe import fold, is_regular, parse_timeframe
from lean_lite_sim.market.timestamps import MINUTE_NS, SECOND_NS, format_instant, parse_instant
from lean_lite_sim.protocol.endpoints import DeliveryGroup
from lean_lite_sim.protocol.wire import Message
from lean_lite_sim.timeline import Timeline
from tests.harness.simulator_clients import TODAY, Record

MARKET = Market(TODAY, synthetic=("SYN0000", "SYN0001"))
FIRST_MARK_NS = parse_instant("2026-11-19T15:00:00Z")
FRACTIONS = st.sampled_from([0.0, 0.3, 1.0])


def make_timeline(**faults: float) -> Timeline:
    return Timeline(MARKET, FaultHistory(Faults(**faults)), 0)  # type: ignore[arg-type]


def read(message: Message) -> Record:
    return msgspec.json.decode(message.encode("json"), type=Record)


def keys(messages: list[Message]) -> Counter[tuple[str, str]]:
    return Counter((body["S"], body["t"]) for body in map(read, messages))


@settings(deadline=None, max_examples=40)
@given(late=FRACTIONS, duplicate=FRACTIONS, out_of_order=FRACTIONS, seed=st.integers(0, 99))
def test_with_any_faults_every_bar_is_eventually_received_completely(
    late: float,
    duplicate: float,
    out_of_order: float,
    seed: int,
) -> None:
    faults = Faults(
        late_fraction=late,
        duplicate_fraction=duplicate,
        out_of_order_fraction=out_of_order,
        seed=seed,
    )
    timeline = Timeline(MARKET, FaultHistory(faults), 0)
    received: dict[tuple[str, str], Record] = {}
    updated: set[tuple[str, str]] = set()
    for mark_ns in range(FIRST_MARK_NS, FIRST_MARK_NS + 12 * MINUTE_NS, MINUTE_NS):
        for message in timeline.bar_messages("stocks", mark_ns):
            body = read(message)
            if (key := (body["S"], body["t"])) not in updated:
                received[key] = body
        for message in timeline.updated_messages("stocks", mark_ns):
            body = read(message)
            key = (body["S"], body["t"])
            updated.add(key)
            received[key] = body
    for start_ns in range(FIRST_MARK_NS - MINUTE_NS, FIRST_MARK_NS + 10 * MINUTE_NS, MINUTE_NS):
        for bar in MARKET.starting_at("stocks", start_ns):
            body = received[bar.symbol, format_instant(start_ns)]
            assert {name: body[name] for name in bar.fields()} == bar.fields()


def test_without_faults_a_mark_sends_each_bar_once() -> None:
    messages = make_timeline().bar_messages("stocks", FIRST_MARK_NS)
    assert [m.symbol for m in messages] == ["AAPL", "SPY", "SYN0000", "SYN0001"]
    assert make_timeline().updated_messages("stocks", FIRST_MARK_NS) == []


def test_duplicates_are_sent_twice_at_the_same_mark() -> None:
    counts = keys(make_timeline(duplicate_fraction=1.0).bar_messages("stocks", FIRST_MARK_NS))
    assert set(counts.values()) == {2}


def test_a_delayed_bar_is_sent_one_mark_later() -> None:
    sent = keys(make_timeline(out_of_order_fraction=1.0).bar_messages("stocks", FIRST_MARK_NS))
    assert {start for _, start in sent} == {format_instant(FIRST_MARK_NS - 2 * MINUTE_NS)}


def test_rest_has_part_of_a_late_bar_until_its_update_is_due() -> None:
    timeline = make_timeline(late_fraction=1.0)
    (bar, *_) = MARKET.starting_at("stocks", FIRST_MARK_NS)
    assert timeline.version_at(bar, bar.end_ns + 30 * SECOND_NS - 1) == first_version(bar)
    assert timeline.version_at(bar, bar.end_ns + 30 * SECOND_NS) == bar


def test_unknown_types_and_keys_are_added() -> None:
    bodies = list(
        map(read, make_timeline(unknown_types=True).bar_messages("stocks", FIRST_MARK_NS))
    )
    assert [body["T"] for body in bodies] == ["b", "b", "b", "b", "zz"]
    (body, *_) = map(read, make_timeline(unknown_keys=True).bar_messages("stocks", FIRST_MARK_NS))
    assert body["unknown"] == "key"


def test_daily_bars_fold_the_session_so_far_in_any_order_of_calls() -> None:
    marks = [FIRST_MARK_NS + n * MINUTE_NS for n in (0, 1, 2, 9, 10, 400, 401)]
    timeline = make_timeline()
    for mark_ns in marks:
        for body in map(read, timeline.daily_messages(DeliveryGroup("stocks", 0), mark_ns)):
            start_ns = parse_timeframe("1Day").floor(body["S"], mark_ns - MINUTE_NS)
            bars = MARKET.bars(body["S"], start_ns, mark_ns - MINUTE_NS)
            expected = fold(start_ns, [bar for bar in bars if is_regular(bar)])
            assert (body["T"], body["t"]) == ("d", format_instant(start_ns))
            assert (body["o"], body["v"]) == (expected.open, expected.volume)
            assert (body["h"], body["l"]) == (expected.high, expected.low)
            assert (body["c"], body["n"]) == (expected.close, expected.trade_count)
    assert timeline.daily_messages(DeliveryGroup("stocks", 0), marks[-1]) == []
