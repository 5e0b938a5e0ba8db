"""Each role may use the subjects of its table and no others."""

import pytest
from msgspec.structs import replace
from nats.aio.msg import Msg

from lean_lite.bus import Bus, connect
from lean_lite.config.sections import Secret
from lean_lite.errors import BusUnavailable
from lean_lite.protocol.permissions import ROLES
from tests.harness.brokers import Brokers
from tests.harness.marks import BOTH_BROKERS
from tests.harness.waiting import until
from tests.integration.conftest import Join

pytestmark = BOTH_BROKERS

DENIED_TO_PUBLISH = {
    "ingest": ("md.graded.equity.1", "md.live.bar.equity.SPY", "$JS.API.STREAM.DELETE.RAW"),
    "validate": ("md.raw.iex.equity.1", "$KV.interest.iex.SPY", "$JS.API.STREAM.CREATE.X"),
    "store": ("md.raw.iex.equity.1", "md.graded.equity.1", "$KV.leases.validate.0"),
    "metrics": ("md.raw.iex.equity.1", "md.history", "md.ctl.subscribe"),
    "feed": ("md.graded.equity.1", "$KV.leases.ingest.alpaca", "md.beat.store.x"),
    "client": ("md.raw.iex.equity.1", "md.live.bar.equity.SPY", "md.beat.store.x"),
}
DENIED_TO_SUBSCRIBE = {
    "ingest": ("md.raw.>", "md.live.>", "_INBOX.store.>"),
    "validate": ("md.raw.>", "md.live.>", "_INBOX.>"),
    "store": ("md.graded.>", "md.ctl.>", "_INBOX.client.>"),
    "metrics": ("md.graded.>", "md.live.>", "_INBOX.admin.>"),
    "feed": ("md.raw.>", "md.ctl.subscribe", "md.live.>", "_INBOX.client.>"),
    "client": ("md.raw.>", "md.graded.>", "md.history", "md.credit.>"),
}
ALLOWED_TO_PUBLISH = {
    "ingest": "md.event.feed",
    "validate": "md.live.bar.equity.SPY",
    "store": "md.beat.store.x",
    "metrics": "md.event.alert",
    "feed": "md.beat.feed.x",
    "client": "md.history",
}
assert set(DENIED_TO_PUBLISH) == set(DENIED_TO_SUBSCRIBE) == set(ALLOWED_TO_PUBLISH) == set(ROLES)


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_can_publish_only_to_its_own_subjects(
    role: str, join: Join, admin: Bus
) -> None:
    received: list[str] = []

    async def on_message(message: Msg) -> None:
        if message.data == b"trial":
            received.append(message.subject)

    for root in ("md.>", "$KV.>", "$JS.API.STREAM.>"):
        await admin.subscribe(root, on_message)
    await admin.flush()
    bus = await join(role)
    for subject in DENIED_TO_PUBLISH[role]:
        await bus.publish(subject, b"trial")
    await until(lambda: bus.errors == len(DENIED_TO_PUBLISH[role]), "the denials")
    await bus.publish(ALLOWED_TO_PUBLISH[role], b"trial")
    await until(lambda: received, "the allowed message")
    assert received == [ALLOWED_TO_PUBLISH[role]]
    assert bus.errors == len(DENIED_TO_PUBLISH[role])
    assert bus.connected


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_can_subscribe_only_to_its_own_subjects(role: str, join: Join) -> None:
    bus = await join(role)

    async def on_message(_: Msg) -> None:
        raise AssertionError

    for subject in DENIED_TO_SUBSCRIBE[role]:
        await bus.subscribe(subject, on_message)
    await until(lambda: bus.errors == len(DENIED_TO_SUBSCRIBE[role]), "the denials")
    assert bus.connected


async def test_the_error_for_a_wrong_password_names_the_address_and_the_user(
    brokers: Brokers,
) -> None:
    config = brokers.config("client", 2.0)
    wrong = {"connect_timeout_s": 2.0, "password": Secret("wrong")}
    with pytest.raises(BusUnavailable, match="as user client") as caught:
        await connect(replace(config, **wrong), "client", name="test")
    assert brokers.nats_url in str(caught.value)
    assert "wrong" not in str(caught.value)


async def test_the_error_for_an_unreachable_server_names_its_address(brokers: Brokers) -> None:
    config = replace(brokers.config("client", 2.0), url="nats://127.0.0.1:1", connect_timeout_s=1.0)
    with pytest.raises(BusUnavailable, match=r"nats://127\.0\.0\.1:1"):
        await connect(config, "client", name="test")
