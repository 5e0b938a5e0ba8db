import asyncio

from lean_lite_ingest.alpaca.rest import RateLimit


async def count_immediate(limit: RateLimit, requests: int) -> int:
    """Return how many of concurrent requests are sent without waiting."""
    tasks = [asyncio.create_task(limit.acquire()) for _ in range(requests)]
    for _ in range(10):
        await asyncio.sleep(0)
    done = sum(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return done


async def test_a_burst_is_sent_immediately_and_the_next_request_waits() -> None:
    assert await count_immediate(RateLimit(1), 12) == 10


async def test_the_burst_can_be_set() -> None:
    assert await count_immediate(RateLimit(1, burst=3), 12) == 3


async def test_after_a_burst_every_request_waits() -> None:
    limit = RateLimit(1, burst=3)
    assert await count_immediate(limit, 3) == 3
    assert await count_immediate(limit, 3) == 0


async def test_waiting_requests_are_sent_eventually() -> None:
    limit = RateLimit(6_000, burst=1)
    async with asyncio.timeout(30):
        for _ in range(10):
            await limit.acquire()
