import pytest

from lean_lite_sim.market.clock import FeedClock
from lean_lite_sim.market.timestamps import SECOND_NS


def test_feed_time_runs_from_the_start_at_the_speed() -> None:
    clock = FeedClock(1_000 * SECOND_NS, 50 * SECOND_NS, 60.0)
    assert clock.feed_ns(1_000 * SECOND_NS) == 50 * SECOND_NS
    assert clock.feed_ns(1_002 * SECOND_NS) == 170 * SECOND_NS


def test_a_held_clock_stays_at_its_start_until_it_is_released() -> None:
    wall = [5 * SECOND_NS]
    clock = FeedClock(None, 7 * SECOND_NS, 2.0, wall_clock=lambda: wall[0])
    wall[0] = 8 * SECOND_NS
    assert clock.reading() == {
        "wall_ns": 8 * SECOND_NS,
        "feed_ns": 7 * SECOND_NS,
        "speed": 2.0,
        "held": True,
    }
    clock.release()
    wall[0] = 9 * SECOND_NS
    clock.release()
    assert clock.now_ns() == 9 * SECOND_NS
    assert not clock.held


async def test_sleep_ends_at_or_after_its_time() -> None:
    clock = FeedClock(None, 0, 1e6)
    clock.release()
    await clock.sleep_until(3_600 * SECOND_NS)
    assert clock.now_ns() >= 3_600 * SECOND_NS


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_clock_must_run_forwards(speed: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        FeedClock(None, 0, speed)
