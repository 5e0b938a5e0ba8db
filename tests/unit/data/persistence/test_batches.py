"""What a batch holds is its opener's alone, whatever tasks and threads do meanwhile."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_lite.data import DataPersistence
from lean_lite.errors import StoreError

NOW = datetime.now(UTC)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[DataPersistence]:
    with DataPersistence(tmp_path / "pipeline.db") as persistence:
        yield persistence


def errors(kept: DataPersistence) -> list[str]:
    return [row["message"] for row in kept.get_errors()]


async def test_a_task_that_fails_in_its_batch_takes_no_row_of_another_with_it(
    kept: DataPersistence,
) -> None:
    inside, saved = asyncio.Event(), asyncio.Event()

    async def fail() -> None:
        with kept.batch():
            kept.save_error("batch", "mine")
            inside.set()
            await saved.wait()
            raise LookupError

    failing = asyncio.create_task(fail())
    await inside.wait()
    kept.save_error("order", "another's")
    assert errors(kept) == ["another's"]
    saved.set()
    with pytest.raises(LookupError):
        await failing
    assert errors(kept) == ["another's"]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.booleans()),
        min_size=2,
        max_size=6,
    )
)
def test_batches_of_many_tasks_are_all_or_nothing_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, tasks: list[tuple[list[int], bool]]
) -> None:
    kept = DataPersistence(tmp_path_factory.mktemp("batches") / "pipeline.db")

    async def run(number: int, naps: list[int], fails: bool) -> None:  # noqa: FBT001
        with kept.batch():
            for step, nap in enumerate(naps):
                kept.save_error("step", f"{number}.{step}")
                for _ in range(nap):
                    await asyncio.sleep(0)
            if fails:
                raise LookupError

    async def run_all() -> list[BaseException | None]:
        runs = (run(number, *task) for number, task in enumerate(tasks))
        return await asyncio.gather(*runs, return_exceptions=True)

    ends = asyncio.run(run_all())
    assert [isinstance(end, LookupError) for end in ends] == [fails for _, fails in tasks]
    assert sorted(errors(kept)) == sorted(
        f"{number}.{step}"
        for number, (naps, fails) in enumerate(tasks)
        if not fails
        for step in range(len(naps))
    )
    kept.close()


async def test_a_thread_that_a_batch_waits_for_saves_on_its_own(kept: DataPersistence) -> None:
    with kept.batch():
        kept.save_error("batch", "inside")
        await asyncio.wait_for(asyncio.to_thread(kept.save_error, "thread", "beside"), 10)
        assert errors(kept) == ["beside"]
    assert errors(kept) == ["inside", "beside"]


async def test_a_task_that_was_started_in_a_batch_saves_on_its_own(kept: DataPersistence) -> None:
    over = asyncio.Event()

    async def beside() -> None:
        kept.save_error("task", "during")
        await over.wait()
        kept.save_error("task", "after")

    async def fail() -> None:
        with kept.batch():
            tasks.append(asyncio.create_task(beside()))
            await asyncio.sleep(0)
            raise LookupError

    tasks: list[asyncio.Task[None]] = []
    with pytest.raises(LookupError):
        await fail()
    over.set()
    await tasks[0]
    assert errors(kept) == ["during", "after"]


async def test_a_cancelled_batch_leaves_nothing(kept: DataPersistence) -> None:
    async def wait() -> None:
        with kept.batch():
            kept.save_error("batch", "cancelled")
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert errors(kept) == []


def test_threads_do_not_wait_for_the_batch_of_another(kept: DataPersistence) -> None:
    together = threading.Barrier(4)

    def save(number: int) -> None:
        with kept.batch():
            kept.save_error("thread", str(number))
            together.wait(timeout=10)
            if number % 2:
                raise LookupError

    with ThreadPoolExecutor(4) as threads:
        ends = [threads.submit(save, number) for number in range(4)]
        assert [type(end.exception()) for end in ends] == [type(None), LookupError] * 2
    assert sorted(errors(kept)) == ["0", "2"]


def test_what_is_saved_in_a_batch_can_be_read_when_it_has_ended(kept: DataPersistence) -> None:
    with kept.batch():
        kept.save_error("batch", "first")
        kept.save_market_data("AAPL", NOW, "trade", {})
        kept.save_error("batch", "second")
        assert errors(kept) == []
        assert kept.get_recent_data("AAPL") == []
    assert errors(kept) == ["first", "second"]
    assert len(kept.get_recent_data("AAPL")) == 1


def test_a_batch_in_another_is_part_of_it(kept: DataPersistence) -> None:
    with kept.batch():
        kept.save_error("outer", "1")
        with kept.batch():
            kept.save_error("inner", "2")
        assert errors(kept) == []
        kept.save_error("outer", "3")
    assert errors(kept) == ["1", "2", "3"]


def test_a_batch_in_another_takes_back_only_itself(kept: DataPersistence) -> None:
    def fail() -> None:
        with kept.batch():
            kept.save_error("inner", "2")
            raise LookupError

    with kept.batch():
        kept.save_error("outer", "1")
        with pytest.raises(LookupError):
            fail()
        kept.save_error("outer", "3")
    assert errors(kept) == ["1", "3"]


def test_generators_may_end_their_batches_in_any_order(kept: DataPersistence) -> None:
    def save(name: str) -> Iterator[None]:
        with kept.batch():
            kept.save_error("generator", name)
            yield

    first, second = save("first"), save("second")
    next(first)
    next(second)
    assert list(first) == []
    assert errors(kept) == ["first"]
    kept.save_error("generator", "third")
    assert list(second) == []
    kept.save_error("generator", "fourth")
    assert errors(kept) == ["first", "second", "third", "fourth"]


async def test_a_batch_may_be_ended_by_another_task(kept: DataPersistence) -> None:
    async def source() -> AsyncIterator[str]:
        with kept.batch():
            kept.save_error("generator", "inside")
            yield "inside"

    async def begin() -> str:
        return await anext(bars)

    bars = source()
    assert await asyncio.create_task(begin()) == "inside"
    assert errors(kept) == []
    assert [bar async for bar in bars] == []
    kept.save_error("generator", "outside")
    assert errors(kept) == ["inside", "outside"]


def test_a_batch_has_a_bound_and_says_so(kept: DataPersistence) -> None:
    text = "a" * (65 * 2**20)
    with kept.batch():
        kept.save_error("first", text)
        with kept.batch(), pytest.raises(StoreError, match="a batch holds 128 MiB"):
            kept.save_error("second", text)
        kept.save_error("third", "small")
    assert [row["error_type"] for row in kept.get_errors()] == ["first", "third"]


def test_a_wrong_row_is_refused_before_it_is_in_the_batch(kept: DataPersistence) -> None:
    with kept.batch():
        kept.save_error("batch", "kept")
        with pytest.raises(TypeError, match="symbol is text, not 5"):
            kept.save_market_data(5, NOW, "trade", {})  # type: ignore[arg-type]
    assert errors(kept) == ["kept"]


def test_a_batch_that_a_closed_file_can_not_take_says_so(kept: DataPersistence) -> None:
    batch = kept.batch()
    batch.__enter__()
    kept.save_error("batch", "late")
    kept.close()
    with pytest.raises(StoreError, match="is closed"):
        batch.__exit__(None, None, None)
