"""A batch holds only its owner's rows, also while other tasks and threads save rows."""

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
def persistence(tmp_path: Path) -> Iterator[DataPersistence]:
    with DataPersistence(tmp_path / "pipeline.db") as opened:
        yield opened


def errors(persistence: DataPersistence) -> list[str]:
    return [row["message"] for row in persistence.get_errors()]


async def test_a_failed_batch_discards_no_row_of_another_task(
    persistence: DataPersistence,
) -> None:
    inside, saved = asyncio.Event(), asyncio.Event()

    async def fail() -> None:
        with persistence.batch():
            persistence.save_error("batch", "inside")
            inside.set()
            await saved.wait()
            raise LookupError

    failing = asyncio.create_task(fail())
    await inside.wait()
    persistence.save_error("order", "other task")
    assert errors(persistence) == ["other task"]
    saved.set()
    with pytest.raises(LookupError):
        await failing
    assert errors(persistence) == ["other task"]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.booleans()),
        min_size=2,
        max_size=6,
    )
)
def test_interleaved_batches_of_tasks_are_each_atomic(
    tmp_path_factory: pytest.TempPathFactory, tasks: list[tuple[list[int], bool]]
) -> None:
    persistence = DataPersistence(tmp_path_factory.mktemp("batches") / "pipeline.db")

    async def run(number: int, sleeps: list[int], fails: bool) -> None:  # noqa: FBT001
        with persistence.batch():
            for step, count in enumerate(sleeps):
                persistence.save_error("step", f"{number}.{step}")
                for _ in range(count):
                    await asyncio.sleep(0)
            if fails:
                raise LookupError

    async def run_all() -> list[BaseException | None]:
        runs = (run(number, *task) for number, task in enumerate(tasks))
        return await asyncio.gather(*runs, return_exceptions=True)

    results = asyncio.run(run_all())
    assert [isinstance(result, LookupError) for result in results] == [fails for _, fails in tasks]
    assert sorted(errors(persistence)) == sorted(
        f"{number}.{step}"
        for number, (sleeps, fails) in enumerate(tasks)
        if not fails
        for step in range(len(sleeps))
    )
    persistence.close()


async def test_a_thread_started_in_a_batch_saves_outside_of_it(
    persistence: DataPersistence,
) -> None:
    with persistence.batch():
        persistence.save_error("batch", "inside")
        await asyncio.wait_for(asyncio.to_thread(persistence.save_error, "thread", "outside"), 10)
        assert errors(persistence) == ["outside"]
    assert errors(persistence) == ["inside", "outside"]


async def test_a_task_started_in_a_batch_saves_outside_of_it(persistence: DataPersistence) -> None:
    failed = asyncio.Event()

    async def save_outside() -> None:
        persistence.save_error("task", "during")
        await failed.wait()
        persistence.save_error("task", "after")

    async def fail() -> None:
        with persistence.batch():
            tasks.append(asyncio.create_task(save_outside()))
            await asyncio.sleep(0)
            raise LookupError

    tasks: list[asyncio.Task[None]] = []
    with pytest.raises(LookupError):
        await fail()
    failed.set()
    await tasks[0]
    assert errors(persistence) == ["during", "after"]


async def test_a_cancelled_batch_writes_nothing(persistence: DataPersistence) -> None:
    async def wait() -> None:
        with persistence.batch():
            persistence.save_error("batch", "cancelled")
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert errors(persistence) == []


def test_threads_do_not_wait_for_each_others_batches(persistence: DataPersistence) -> None:
    barrier = threading.Barrier(4)

    def save(number: int) -> None:
        with persistence.batch():
            persistence.save_error("thread", str(number))
            barrier.wait(timeout=10)
            if number % 2:
                raise LookupError

    with ThreadPoolExecutor(4) as threads:
        futures = [threads.submit(save, number) for number in range(4)]
        assert [type(future.exception()) for future in futures] == [type(None), LookupError] * 2
    assert sorted(errors(persistence)) == ["0", "2"]


def test_rows_of_a_batch_are_visible_after_it_has_ended(persistence: DataPersistence) -> None:
    with persistence.batch():
        persistence.save_error("batch", "first")
        persistence.save_market_data("AAPL", NOW, "trade", {})
        persistence.save_error("batch", "second")
        assert errors(persistence) == []
        assert persistence.get_recent_data("AAPL") == []
    assert errors(persistence) == ["first", "second"]
    assert len(persistence.get_recent_data("AAPL")) == 1


def test_a_nested_batch_is_written_with_the_outer_one(persistence: DataPersistence) -> None:
    with persistence.batch():
        persistence.save_error("outer", "1")
        with persistence.batch():
            persistence.save_error("inner", "2")
        assert errors(persistence) == []
        persistence.save_error("outer", "3")
    assert errors(persistence) == ["1", "2", "3"]


def test_a_failed_nested_batch_discards_only_its_own_rows(persistence: DataPersistence) -> None:
    def fail() -> None:
        with persistence.batch():
            persistence.save_error("inner", "2")
            raise LookupError

    with persistence.batch():
        persistence.save_error("outer", "1")
        with pytest.raises(LookupError):
            fail()
        persistence.save_error("outer", "3")
    assert errors(persistence) == ["1", "3"]


def test_batches_of_generators_may_end_in_any_order(persistence: DataPersistence) -> None:
    def save(name: str) -> Iterator[None]:
        with persistence.batch():
            persistence.save_error("generator", name)
            yield

    first, second = save("first"), save("second")
    next(first)
    next(second)
    assert list(first) == []
    assert errors(persistence) == ["first"]
    persistence.save_error("generator", "third")
    assert list(second) == []
    persistence.save_error("generator", "fourth")
    assert errors(persistence) == ["first", "second", "third", "fourth"]


async def test_a_batch_may_be_ended_by_another_task(persistence: DataPersistence) -> None:
    async def source() -> AsyncIterator[str]:
        with persistence.batch():
            persistence.save_error("generator", "inside")
            yield "inside"

    async def first_bar() -> str:
        return await anext(bars)

    bars = source()
    assert await asyncio.create_task(first_bar()) == "inside"
    assert errors(persistence) == []
    assert [bar async for bar in bars] == []
    persistence.save_error("generator", "outside")
    assert errors(persistence) == ["inside", "outside"]


def test_a_batch_beyond_its_bound_is_refused(persistence: DataPersistence) -> None:
    text = "a" * (65 * 2**20)
    with persistence.batch():
        persistence.save_error("first", text)
        with persistence.batch(), pytest.raises(StoreError, match="a batch holds at most 128 MiB"):
            persistence.save_error("second", text)
        persistence.save_error("third", "small")
    assert [row["error_type"] for row in persistence.get_errors()] == ["first", "third"]


def test_an_invalid_row_is_refused_before_it_enters_the_batch(persistence: DataPersistence) -> None:
    with persistence.batch():
        persistence.save_error("batch", "valid")
        with pytest.raises(TypeError, match="symbol must be text, not 5"):
            persistence.save_market_data(5, NOW, "trade", {})  # type: ignore[arg-type]
    assert errors(persistence) == ["valid"]


def test_a_batch_that_ends_after_the_file_was_closed_raises(persistence: DataPersistence) -> None:
    batch = persistence.batch()
    batch.__enter__()
    persistence.save_error("batch", "late")
    persistence.close()
    with pytest.raises(StoreError, match="is closed"):
        batch.__exit__(None, None, None)
