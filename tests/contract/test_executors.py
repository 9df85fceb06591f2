"""One contract for `ProcessPoolExecutor` and `Pool.as_executor`: code that was written for the one runs on the other."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import pathlib
import pickle
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import numpy
import pytest

import executor_functions as functions
import snakepit

pytestmark = [pytest.mark.slow]

Make = Callable[..., concurrent.futures.Executor]


def test_functions_and_their_arguments(make: Make) -> None:
    """By position and by name; values of any class, small and large."""
    with make() as executor:
        assert executor.submit(functions.add, 1).result(30) == 2
        assert executor.submit(functions.add, "a", b="b").result(30) == "ab"
        assert executor.submit(pow, 2, 10).result(30) == 1024
        assert executor.submit(functions.wrapped, {1, 2}).result(30) == functions.OfMine({1, 2})
        assert executor.submit(functions.add, functions.OfMine.__name__, b="!").exception(30) is None
        array = numpy.arange(1_000_000.0)
        found = executor.submit(functions.add, array, b=array).result(30)
        assert (found == 2 * array).all()
        assert found.flags.writeable


def test_errors_are_those_that_were_raised(make: Make) -> None:
    """With what they hold, and the worker's traceback as their cause."""
    with make() as executor:
        future = executor.submit(functions.refuse, 7)
        with pytest.raises(functions.Refused) as raised:
            future.result(30)
        assert (raised.value.code, raised.value.args) == (7, (7, "not today"))
        assert "in refuse" in "".join(traceback.format_exception(raised.value))
        assert isinstance(future.exception(30), functions.Refused)
        left = executor.submit(functions.leave, 3).exception(30)
        assert isinstance(left, SystemExit)
        assert left.code == 3
        assert executor.submit(functions.add, 1).result(30) == 2


def test_what_cannot_be_pickled(make: Make) -> None:
    """Arguments, functions and results: each is the error of its own future, and the executor goes on."""
    with make() as executor:
        for function, args in ((functions.lock, ()), (functions.add, (threading.Lock(),)), (lambda: 1, ())):
            with pytest.raises((TypeError, AttributeError, pickle.PicklingError), match="pickle"):
                executor.submit(function, *args).result(30)
        assert executor.submit(functions.add, 1).result(30) == 2


@pytest.mark.parametrize("chunksize", [1, 3, 100])
def test_map(make: Make, chunksize: int) -> None:
    """In order, with the shortest of several iterables, in chunks; nothing of nothing."""
    with make() as executor:
        assert list(executor.map(functions.add, range(10), chunksize=chunksize)) == list(range(1, 11))
        assert list(executor.map(functions.add, range(10), range(0, 100, 10), chunksize=chunksize))[-1] == 99
        assert list(executor.map(functions.add, [], chunksize=chunksize)) == []
        results = executor.map(functions.refuse, range(3), chunksize=chunksize)
        with pytest.raises(functions.Refused):
            next(results)
        with pytest.raises(ValueError, match="chunksize must be >= 1"):
            executor.map(functions.add, [1], chunksize=0)


def test_map_in_time(make: Make) -> None:
    """The time counts from the call, while the results are read."""
    with make() as executor:
        assert next(executor.map(functions.add, [1], timeout=60)) == 2
        results = executor.map(functions.nap, [0.0, 1.0], timeout=0.3)
        with pytest.raises(TimeoutError):
            list(results)


def test_both_workers_work(make: Make) -> None:
    """At the same time, in processes of their own."""
    with make() as executor:
        found: set[int] = set()
        for _ in range(50):
            found |= {future.result(30) for future in [executor.submit(functions.process, 0.05) for _ in range(4)]}
            if len(found) == 2:
                break
        assert len(found) == 2
        assert os.getpid() not in found


def test_an_initializer_runs_once_in_each_worker(make: Make) -> None:
    """Before anything else does."""
    with make(2, initializer=functions.begin, initargs=("ready",)) as executor:
        found = [future.result(30) for future in [executor.submit(functions.begun) for _ in range(20)]]
    assert set(found) == {("ready", True, True)}


def test_an_initializer_that_fails(make: Make) -> None:
    """What is submitted fails with an error of a broken executor."""
    with make(1, initializer=functions.fail_to_begin) as executor, pytest.raises(concurrent.futures.BrokenExecutor):
        executor.submit(functions.add, 1).result(30)


def test_cancel(make: Make, tmp_path: pathlib.Path) -> None:
    """What waits can be cancelled, and never runs; what has ended cannot."""
    with make(1) as executor:
        held = executor.submit(functions.wait_for, str(tmp_path / "go"))
        waiting = [executor.submit(functions.note, str(tmp_path / "ran"), number) for number in range(20)]
        assert waiting[-1].cancel()
        assert waiting[-1].cancelled()
        with pytest.raises(concurrent.futures.CancelledError):
            waiting[-1].result(30)
        (tmp_path / "go").touch()
        assert held.result(30)
        assert [future.result(30) for future in waiting[:-1]] == list(range(19))
        assert not held.cancel()
    assert (tmp_path / "ran").read_text().split() == [str(number) for number in range(19)]


def test_waiting_for_many(make: Make) -> None:
    """`wait`, `as_completed`, callbacks, asyncio."""
    with make() as executor:
        futures = [executor.submit(functions.add, number) for number in range(10)]
        assert {future.result() for future in concurrent.futures.as_completed(futures, timeout=30)} == set(range(1, 11))
        done, left = concurrent.futures.wait([executor.submit(functions.nap, 0.01) for _ in range(3)], timeout=30)
        assert (len(done), len(left)) == (3, 0)
        called = threading.Event()
        told: list[Any] = []
        future = executor.submit(functions.add, 41)
        future.add_done_callback(lambda item: (told.append(item.result()), called.set()))
        assert called.wait(30)
        assert told == [42]

        async def main() -> Any:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(executor, functions.add, 1), await asyncio.wrap_future(executor.submit(functions.add, 2))

        assert asyncio.run(main()) == (2, 3)


def test_shutdown(make: Make, tmp_path: pathlib.Path) -> None:
    """What was submitted ends, unless it is to be cancelled; nothing more is taken."""
    executor = make(1)
    held = executor.submit(functions.wait_for, str(tmp_path / "go"), str(tmp_path / "began"))
    while not (tmp_path / "began").exists():
        assert not held.done()
    futures = [executor.submit(functions.note, str(tmp_path / "ran"), number) for number in range(10)]
    stopper = threading.Thread(target=executor.shutdown, kwargs={"cancel_futures": True})
    stopper.start()
    end = time.monotonic() + 30
    while not futures[-1].cancelled():  # `wait` does not see it in the standard library's
        assert time.monotonic() < end
        time.sleep(0.01)
    (tmp_path / "go").touch()
    stopper.join(30)
    assert held.result(30)
    assert futures[-1].cancelled()
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit(functions.add, 1)
    executor.shutdown()


def test_shutdown_without_waiting(make: Make, tmp_path: pathlib.Path) -> None:
    """What was submitted ends all the same."""
    executor = make(1)
    futures = [executor.submit(functions.note, str(tmp_path / "ran"), number) for number in range(5)]
    executor.shutdown(wait=False)
    assert [future.result(30) for future in futures] == list(range(5))
    executor.shutdown()


def test_many(make: Make) -> None:
    """Thousands at once."""
    with make() as executor:
        futures = [executor.submit(functions.add, number) for number in range(3000)]
        assert [future.result(60) for future in futures] == list(range(1, 3001))


# Of ours alone -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def pool(leaves_nothing: object) -> Iterator[snakepit.Pool]:
    """One worker, and few that wait."""
    with snakepit.Pool("snakepit_bridge.functions", size=1, queue_size=3, allow_pickle=True) as opened:
        yield opened


def test_a_worker_that_dies_fails_what_it_ran(pool: snakepit.Pool) -> None:
    """The others run on another one."""
    with pool.as_executor() as executor:
        futures = [executor.submit(os._exit, 3) if number == 2 else executor.submit(functions.add, number) for number in range(4)]
        with pytest.raises(snakepit.WorkerCrashed):
            futures[2].result(30)
        assert [futures[number].result(30) for number in (0, 1, 3)] == [1, 2, 4]


def test_what_runs_can_be_cancelled(pool: snakepit.Pool) -> None:
    """If the executor is made so. The worker lives on."""
    with pool.as_executor(cancel_running=True) as executor:
        before = executor.submit(functions.process).result(30)
        future = executor.submit(functions.nap, 60.0)
        while not future.running():
            assert not future.done()
        assert future.cancel()
        assert future.cancelled()
        assert executor.submit(functions.process).result(30) == before


def test_submit_waits_for_room(pool: snakepit.Pool) -> None:
    """No more wait than the pool lets; who submits faster is held back, and nothing fails."""
    with pool.as_executor() as executor:
        most = 0
        futures = []
        for number in range(60):
            futures.append(executor.submit(functions.add, number))
            most = max(most, pool.stats().queued)
        assert [future.result(30) for future in futures] == list(range(1, 61))
    assert most <= 3


def test_the_pool_may_stay_open(pool: snakepit.Pool) -> None:
    """Beside the executor, or after it."""
    for name in ("first", "second"):
        with pool.as_executor(initializer=functions.begin, initargs=(name,), close_pool=False) as executor:
            assert executor.submit(functions.begun).result(30)[0] == name
    assert pool.host_tool_specs() == ()
    assert pool.stats().running == 0
    pool.as_executor().shutdown()
    with pytest.raises(snakepit.PoolClosed):
        pool.execute("call_function", {"work": None})


def test_what_it_needs() -> None:
    """Pickles are allowed by whoever makes the pool, and the workers run functions; the errors say how."""
    with (
        snakepit.Pool("snakepit_bridge.functions", size=1) as pool,
        pytest.raises(snakepit.ConfigurationError, match="which this pool does not allow") as raised,
    ):
        pool.as_executor()
    assert raised.value.hint == "Pool(..., allow_pickle=True)"
    with (
        snakepit.Pool(functions.add, size=1, allow_pickle=True) as pool,
        pytest.raises(snakepit.ConfigurationError, match="run tools, and no functions") as raised,
    ):
        pool.as_executor()
    assert "snakepit_bridge.functions" in raised.value.hint
    with (
        snakepit.Pool("snakepit_bridge.functions", size=1, allow_pickle=True) as pool,
        pytest.raises(snakepit.InvalidParameter, match="initializer is 3"),
    ):
        pool.as_executor(initializer=3)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
