import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_lite.protocol import subjects
from lean_lite.protocol.partitions import (
    ASSET_CLASSES,
    PARTITIONS,
    Lane,
    group_by_lane,
    lane_of,
    lanes_of_partition,
    partition_of,
)
from lean_lite.protocol.permissions import ROLES, inbox_prefix

LANE = Lane("equity", 3)
STREAMS_OF_FEED = {subjects.RAW, f"KV_{subjects.LEASES}", f"KV_{subjects.MEMBERS}"}
LEASE_OWNERS = {"ingest", "validate"}
SERVICES = {"ingest", "validate", "store", "metrics"}
TOKEN = re.compile(r"[A-Z0-9%-]+")
equities = st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1)
pairs = st.from_regex(r"[A-Z0-9]{2,10}/[A-Z0-9]{2,10}", fullmatch=True)
symbols = equities | pairs


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", 0x811C9DC5),
        ("a", 0xE40C292C),
        ("b", 0xE70C2DE5),
        ("c", 0xE60C2C52),
        ("fo", 0x6222E842),
        ("foo", 0xA9F37ED7),
        ("foob", 0x3F5076EF),
        ("fooba", 0x39AAA18A),
        ("foobar", 0xBF9CF968),
    ],
)
def test_the_partition_is_that_of_fnv_1a(text: str, value: int) -> None:
    assert partition_of(text) == value % PARTITIONS


@given(st.text())
def test_every_symbol_has_a_partition(symbol: str) -> None:
    assert 0 <= partition_of(symbol) < PARTITIONS


@pytest.mark.parametrize(
    ("symbol", "token"),
    [
        ("SPY", "SPY"),
        ("BRK.B", "BRK%2EB"),
        ("BTC/USD", "BTC-USD"),
        ("BRK-B", "BRK-B"),
        ("a b*>%", "%61%20%62%2A%3E%25"),
        ("É", "%C3%89"),
    ],
)
def test_a_symbol_is_one_token_of_a_subject(symbol: str, token: str) -> None:
    assert subjects.symbol_token(symbol) == token


@given(symbols)
def test_a_symbol_token_needs_no_quoting_in_a_subject(symbol: str) -> None:
    assert TOKEN.fullmatch(subjects.symbol_token(symbol))


@given(symbols, symbols)
def test_two_symbols_never_share_a_subject(one: str, other: str) -> None:
    assert (subjects.live_bar(one) == subjects.live_bar(other)) == (one == other)


@pytest.mark.parametrize("lane", [LANE, Lane("crypto", 15)])
def test_a_lane_is_parsed_from_every_subject_of_frames(lane: Lane) -> None:
    for subject in (subjects.raw("iex", lane), subjects.graded(lane), subjects.watermark(lane)):
        assert Lane.from_subject(subject) == lane


def test_a_pair_belongs_to_a_lane_of_crypto() -> None:
    assert lane_of("BTC/USD") == Lane("crypto", partition_of("BTC/USD"))
    assert lane_of("BRK.B") == Lane("equity", partition_of("BRK.B"))


@given(st.lists(symbols))
def test_grouping_by_lane_keeps_order_and_loses_nothing(given_symbols: list[str]) -> None:
    numbered = list(enumerate(given_symbols))
    groups = group_by_lane(numbered, lambda item: item[1])
    assert list(groups) == list(dict.fromkeys(lane_of(symbol) for symbol in given_symbols))
    for lane, items in groups.items():
        assert items == [item for item in numbered if lane_of(item[1]) == lane]


def test_a_partition_has_a_lane_of_every_class() -> None:
    assert lanes_of_partition(3) == [Lane(name, 3) for name in ASSET_CLASSES]


def matches(pattern: str, subject: str) -> bool:
    """Match as a NATS server does: `*` is one token, `>` is one or more at the end."""
    tokens, given = pattern.split("."), subject.split(".")
    for index, token in enumerate(tokens):
        if token == ">":
            return len(given) > index
        if index >= len(given) or token not in ("*", given[index]):
            return False
    return len(tokens) == len(given)


@pytest.mark.parametrize(
    ("pattern", "subject", "expected"),
    [
        ("a.b", "a.b", True),
        ("a.*", "a.b", True),
        ("a.*", "a", False),
        ("a.*", "a.b.c", False),
        ("*.b", "a.b", True),
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        ("a.b", "a.b.c", False),
        ("a.b.c", "a.b", False),
    ],
)
def test_the_matcher_of_these_tests_understands_wildcards(
    pattern: str, subject: str, *, expected: bool
) -> None:
    assert matches(pattern, subject) is expected


def publishers(subject: str) -> set[str]:
    return {
        role for role, grant in ROLES.items() if any(matches(p, subject) for p in grant.publish)
    }


def subscribers(subject: str) -> set[str]:
    return {
        role for role, grant in ROLES.items() if any(matches(p, subject) for p in grant.subscribe)
    }


@pytest.mark.parametrize(
    ("subject", "senders", "receivers"),
    [
        (subjects.raw("iex", LANE), {"ingest", "feed"}, set()),
        (subjects.graded(LANE), {"validate"}, set()),
        (subjects.live_bar("BRK.B"), {"validate"}, {"client"}),
        (subjects.live_invalid("BTC/USD"), {"validate"}, {"client"}),
        (subjects.watermark(LANE), {"validate"}, {"client"}),
        (subjects.SUBSCRIBE, {"client"}, {"ingest"}),
        (subjects.feed_control("fx"), {"client"}, {"ingest", "feed"}),
        (subjects.HISTORY, {"client"}, {"store"}),
        (subjects.credit("c0ffee") + ".1", {"client"}, {"ingest", "store", "feed"}),
        (subjects.heartbeat("store", "store-0"), SERVICES, {"metrics", "client"}),
        (subjects.heartbeat("feed", "feed-0"), SERVICES | {"feed"}, {"metrics", "client"}),
        (subjects.event("gap"), SERVICES, {"metrics"}),
        (subjects.event("feed"), SERVICES | {"feed"}, {"metrics"}),
        (f"$KV.{subjects.LEASES}.{subjects.lease('feed', 'fx')}", LEASE_OWNERS | {"feed"}, set()),
        (f"$KV.{subjects.LEASES}.{subjects.lease('lane', '3')}", {"ingest", "validate"}, set()),
        (f"$KV.{subjects.MEMBERS}.{subjects.lease('lane', 'v1')}", {"ingest", "validate"}, set()),
        (f"$KV.{subjects.INTEREST}.iex.BRK.B", {"ingest"}, set()),
    ],
)
def test_only_the_listed_roles_use_a_subject(
    subject: str, senders: set[str], receivers: set[str]
) -> None:
    assert publishers(subject) == senders
    assert subscribers(subject) == receivers


@pytest.mark.parametrize(
    ("stream", "readers"),
    [
        (subjects.RAW, {"ingest", "validate"}),
        (subjects.GRADED, {"validate", "store"}),
        (subjects.EVENTS, set()),
        (f"KV_{subjects.POSITIONS}", {"ingest"}),
        (f"KV_{subjects.LEASES}", set()),
        (f"KV_{subjects.MEMBERS}", set()),
        (f"KV_{subjects.INTEREST}", set()),
    ],
)
def test_only_the_listed_roles_consume_a_stream(stream: str, readers: set[str]) -> None:
    assert publishers(f"$JS.API.CONSUMER.CREATE.{stream}.name.md.raw.iex.{LANE}") == readers


@pytest.mark.parametrize(
    ("stream", "readers"),
    [
        (subjects.RAW, {"ingest", "validate"}),
        (subjects.GRADED, {"validate", "store"}),
        (subjects.EVENTS, set()),
        (f"KV_{subjects.LEASES}", {"ingest", "validate"}),
        (f"KV_{subjects.MEMBERS}", {"ingest", "validate"}),
        (f"KV_{subjects.INTEREST}", {"ingest"}),
    ],
)
def test_only_the_listed_roles_get_single_messages(stream: str, readers: set[str]) -> None:
    last = {f"$JS.API.DIRECT.GET.{stream}.md.graded.{LANE}", f"$JS.API.STREAM.MSG.GET.{stream}"}
    for subject in last:
        assert publishers(subject) - {"feed"} == readers


def test_a_feed_gets_single_messages_only_of_streams_that_it_writes() -> None:
    for stream in (*subjects.STREAMS, *STREAMS_OF_FEED, f"KV_{subjects.INTEREST}"):
        assert "feed" not in publishers(f"$JS.API.CONSUMER.CREATE.{stream}.name.md.raw.iex.{LANE}")
        allowed = "feed" in publishers(f"$JS.API.STREAM.MSG.GET.{stream}")
        assert allowed == (stream in STREAMS_OF_FEED), stream


@pytest.mark.parametrize("stream", subjects.STREAMS)
def test_metrics_may_request_the_size_of_a_stream(stream: str) -> None:
    assert "metrics" in publishers(f"$JS.API.STREAM.INFO.{stream}")


@pytest.mark.parametrize("stream", [*subjects.STREAMS, f"KV_{subjects.LEASES}"])
@pytest.mark.parametrize("verb", ["CREATE", "UPDATE", "DELETE", "RESTORE", "SNAPSHOT"])
def test_no_role_creates_or_deletes_streams(stream: str, verb: str) -> None:
    assert publishers(f"$JS.API.STREAM.{verb}.{stream}") == set()


@pytest.mark.parametrize("stream", subjects.STREAMS)
def test_no_role_purges_a_stream(stream: str) -> None:
    assert publishers(f"$JS.API.STREAM.PURGE.{stream}") == set()
    assert publishers(f"$JS.API.STREAM.MSG.DELETE.{stream}") == set()


def test_only_roles_that_receive_requests_may_reply() -> None:
    for role, grant in ROLES.items():
        assert grant.answers == ("$SRV.>" in grant.subscribe), role


def test_an_inbox_belongs_to_one_role() -> None:
    inboxes = {role: inbox_prefix(role) for role in ROLES}
    for role, prefix in inboxes.items():
        owners = [name for name, of in inboxes.items() if matches(f"{of}.>", f"{prefix}.x.1")]
        assert owners == [role]
        assert subscribers(f"{prefix}.x.1") == set()


@pytest.mark.parametrize(
    ("stream", "subject"),
    [
        (subjects.RAW, subjects.raw("iex", LANE)),
        (subjects.GRADED, subjects.graded(LANE)),
        (subjects.EVENTS, subjects.event("gap")),
    ],
)
def test_a_subject_of_frames_belongs_to_one_stream(stream: str, subject: str) -> None:
    streams = [name for name, pattern in subjects.STREAMS.items() if matches(pattern, subject)]
    assert streams == [stream]


def test_no_stream_stores_live_records() -> None:
    for subject in (subjects.live_bar("SPY"), subjects.watermark(LANE), subjects.HISTORY):
        assert not any(matches(pattern, subject) for pattern in subjects.STREAMS.values())


def test_filters_match_only_their_subjects() -> None:
    assert matches(subjects.raw_of_lane(LANE), subjects.raw("sip", LANE))
    assert not matches(subjects.raw_of_lane(LANE), subjects.raw("sip", Lane("equity", 4)))
    assert matches(subjects.HEARTBEATS, subjects.heartbeat("store", "store-0"))
