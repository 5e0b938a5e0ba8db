import asyncio

from lean_lite_ingest.rate_limit import RateLimit


async def through(limit: RateLimit, count: int) -> int:
    """Return how many of so many requests at once go out without waiting."""
    tasks = [asyncio.create_task(limit.acquire()) for _ in range(count)]
    for _ in range(10):
        await asyncio.sleep(0)
    done = sum(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return done


async def test_a_burst_goes_out_at_once_and_the_next_one_waits() -> None:
    assert await through(RateLimit(1), 12) == 10


async def test_the_burst_can_be_set() -> None:
    assert await through(RateLimit(1, burst=3), 12) == 3


async def test_after_the_burst_every_request_waits() -> None:
    limit = RateLimit(1, burst=3)
    assert await through(limit, 3) == 3
    assert await through(limit, 3) == 0


async def test_requests_go_on_after_a_wait() -> None:
    limit = RateLimit(6_000, burst=1)
    async with asyncio.timeout(30):
        for _ in range(10):
            await limit.acquire()
