import asyncio
import time
from itertools import islice

import pytest

from lean_lite.bus.retry import backoff, retry, retry_unavailable
from lean_lite.errors import BusUnavailable, Busy, RequestError


class Call:
    """A call that raises the given errors in order, and then returns its count."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.count = 0

    async def __call__(self) -> int:
        self.count += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.count


def test_pauses_are_random_below_a_ceiling_that_doubles_up_to_the_cap() -> None:
    ceilings = (0.1, 0.2, 0.4, 0.5, 0.5)
    rounds = [list(islice(backoff(0.1, 0.5), len(ceilings))) for _ in range(200)]
    for pauses, ceiling in zip(zip(*rounds, strict=True), ceilings, strict=True):
        assert 0 <= min(pauses) < ceiling / 4
        assert ceiling * 3 / 4 < max(pauses) <= ceiling


async def test_a_call_is_retried_until_it_succeeds_and_each_error_is_reported() -> None:
    errors = [OSError("one"), KeyError("two")]
    call, reported = Call(*errors), list[Exception]()
    result = await retry(
        call, (OSError, KeyError), first_s=0.001, max_s=0.001, on_retry=reported.append
    )
    assert result == 3
    assert reported == errors


async def test_other_errors_are_raised_immediately() -> None:
    call = Call(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        await retry(call, (OSError,))
    assert call.count == 1


async def test_the_last_error_is_raised_after_the_given_number_of_attempts() -> None:
    call, reported = Call(OSError("one"), OSError("two"), OSError("three")), list[Exception]()
    with pytest.raises(OSError, match="two"):
        await retry(call, (OSError,), first_s=0.001, attempts=2, on_retry=reported.append)
    assert call.count == 2
    assert [str(error) for error in reported] == ["one"]


async def test_the_last_attempt_is_made_when_the_limit_is_reached() -> None:
    call = Call(*(OSError(str(number)) for number in range(1_000)))
    started = time.monotonic()
    with pytest.raises(OSError):  # noqa: PT011 - any of them
        await retry(call, (OSError,), first_s=1e6, limit_s=0.05)
    assert call.count == 2
    assert time.monotonic() - started >= 0.05


async def test_one_attempt_is_made_when_the_time_limit_is_zero() -> None:
    call = Call(Busy("later"))
    with pytest.raises(Busy):
        await retry_unavailable(call, 0.0)
    assert call.count == 1


@pytest.mark.parametrize("error", [Busy("later"), BusUnavailable("away"), OSError("reset")])
async def test_an_unavailable_bus_or_service_is_retried(error: Exception) -> None:
    assert await retry_unavailable(Call(error)) == 2


async def test_a_refused_request_is_not_retried() -> None:
    with pytest.raises(RequestError):
        await retry_unavailable(Call(RequestError("symbol", "unknown symbol")))


async def test_a_cancelled_call_and_a_cancelled_pause_end_the_retries() -> None:
    async def hang() -> None:
        await asyncio.sleep(60)

    pausing = Call(OSError("away"))
    tasks = [
        asyncio.create_task(retry(hang, (TimeoutError,))),
        asyncio.create_task(retry(pausing, (OSError,), first_s=1e6)),
    ]
    await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert [task.cancelled() for task in tasks] == [True, True]
    assert pausing.count == 1
