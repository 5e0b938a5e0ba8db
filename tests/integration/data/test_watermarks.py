"""A lane's heads come over one subscription, however many follow it."""

from lean_lite.bus import Bus
from lean_lite.data.live.watermarks import WatermarkHub
from lean_lite.protocol.live import Watermark
from lean_lite.protocol.partitions import Lane
from lean_lite.protocol.subjects import watermark
from tests.harness.waiting import until
from tests.integration.conftest import Join

LANE, OTHER = Lane("equity", 3), Lane("crypto", 3)


def head(seq: int) -> Watermark:
    return Watermark(seq, seq - 1, {"SPY": 1})


def lanes_heard(bus: Bus) -> list[str]:
    subscribed = [subscription.subject for subscription in bus.connection._subs.values()]
    return sorted(subject for subject in subscribed if subject.startswith("md.live.frame."))


async def test_subscribers_of_a_lane_share_one_subscription_and_get_only_its_watermarks(
    join: Join,
) -> None:
    bus, validate = await join("client"), await join("validate")
    heads, one, two, other = (
        WatermarkHub(bus),
        list[Watermark](),
        list[Watermark](),
        list[Watermark](),
    )
    await heads.subscribe(LANE, one.append)
    await heads.subscribe(LANE, two.append)
    await heads.subscribe(OTHER, other.append)
    assert lanes_heard(bus) == [watermark(OTHER), watermark(LANE)]
    await bus.flush()
    await validate.publish_message(watermark(LANE), head(1))
    await validate.publish(watermark(LANE), b"\xc1 no head")
    await validate.publish_message(watermark(LANE), head(2))
    await validate.publish_message(watermark(OTHER), head(7))
    await until(lambda: len(two) == 2 and len(other) == 1, "three heads")
    assert one == two == [head(1), head(2)]
    assert other == [head(7)]


async def test_a_removed_subscriber_receives_nothing_and_the_last_one_ends_the_subscription(
    join: Join,
) -> None:
    bus, validate = await join("client"), await join("validate")
    heads, one, two = WatermarkHub(bus), list[Watermark](), list[Watermark]()
    hear_one, hear_two = one.append, two.append
    await heads.subscribe(LANE, hear_one)
    await heads.subscribe(LANE, hear_two)
    await heads.unsubscribe(LANE, hear_one)
    await heads.unsubscribe(LANE, hear_one)
    await bus.flush()
    await validate.publish_message(watermark(LANE), head(1))
    await until(lambda: two == [head(1)], "the head")
    assert one == []
    await heads.unsubscribe(LANE, hear_two)
    assert lanes_heard(bus) == []
    await heads.subscribe(LANE, hear_one)
    assert lanes_heard(bus) == [watermark(LANE)]
