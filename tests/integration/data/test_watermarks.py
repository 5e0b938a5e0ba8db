"""The watermarks of a lane come over one subscription, however many subscribers it has."""

from lean_lite.bus import Bus
from lean_lite.data.live.watermarks import WatermarkHub
from lean_lite.protocol.live import Watermark
from lean_lite.protocol.partitions import Lane
from lean_lite.protocol.subjects import watermark as watermark_subject
from tests.harness.waiting import until
from tests.integration.conftest import Join

LANE, OTHER = Lane("equity", 3), Lane("crypto", 3)


def watermark(seq: int) -> Watermark:
    return Watermark(seq, seq - 1, {"SPY": 1})


def watermark_subscriptions(bus: Bus) -> list[str]:
    subscribed = [subscription.subject for subscription in bus.connection._subs.values()]
    return sorted(subject for subject in subscribed if subject.startswith("md.live.frame."))


async def test_subscribers_of_a_lane_share_one_subscription_and_get_only_its_watermarks(
    join: Join,
) -> None:
    bus, validate = await join("client"), await join("validate")
    hub, one, two, other = (
        WatermarkHub(bus),
        list[Watermark](),
        list[Watermark](),
        list[Watermark](),
    )
    await hub.subscribe(LANE, one.append)
    await hub.subscribe(LANE, two.append)
    await hub.subscribe(OTHER, other.append)
    assert watermark_subscriptions(bus) == [watermark_subject(OTHER), watermark_subject(LANE)]
    await bus.flush()
    await validate.publish_message(watermark_subject(LANE), watermark(1))
    await validate.publish(watermark_subject(LANE), b"\xc1 no watermark")
    await validate.publish_message(watermark_subject(LANE), watermark(2))
    await validate.publish_message(watermark_subject(OTHER), watermark(7))
    await until(lambda: len(two) == 2 and len(other) == 1, "three watermarks")
    assert one == two == [watermark(1), watermark(2)]
    assert other == [watermark(7)]


async def test_a_removed_subscriber_receives_nothing_and_the_last_one_ends_the_subscription(
    join: Join,
) -> None:
    bus, validate = await join("client"), await join("validate")
    hub, one, two = WatermarkHub(bus), list[Watermark](), list[Watermark]()
    on_one, on_two = one.append, two.append
    await hub.subscribe(LANE, on_one)
    await hub.subscribe(LANE, on_two)
    await hub.unsubscribe(LANE, on_one)
    await hub.unsubscribe(LANE, on_one)
    await bus.flush()
    await validate.publish_message(watermark_subject(LANE), watermark(1))
    await until(lambda: two == [watermark(1)], "the watermark")
    assert one == []
    await hub.unsubscribe(LANE, on_two)
    assert watermark_subscriptions(bus) == []
    await hub.subscribe(LANE, on_one)
    assert watermark_subscriptions(bus) == [watermark_subject(LANE)]
