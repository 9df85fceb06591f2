"""The contract of executors: futures, their callbacks and their ends; initializers; many at once."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import gc
import pathlib
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import executor_functions as functions
import snakepit

pytestmark = [pytest.mark.slow]

Make = Callable[..., concurrent.futures.Executor]


def wait_until(is_so: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_waiting_for_the_first_error(make: Make, tmp_path: pathlib.Path) -> None:
    """`wait` sees which futures have errors."""
    with make(2) as executor:
        held = executor.submit(functions.wait_for, str(tmp_path / "go"))
        done, left = concurrent.futures.wait([held, executor.submit(functions.refuse, 1)], 20, concurrent.futures.FIRST_EXCEPTION)
        (tmp_path / "go").touch()
        assert (len(done), left) == (1, {held})
        assert held.result(30)


def test_callbacks_may_submit(make: Make) -> None:
    """Chains of functions."""
    with make(1) as executor:
        over = threading.Event()
        found: list[Any] = []

        def then(future: concurrent.futures.Future[Any]) -> None:
            found.append(future.result())
            if len(found) < 100:
                executor.submit(functions.add, found[-1]).add_done_callback(then)
            else:
                over.set()

        executor.submit(functions.add, 0).add_done_callback(then)
        assert over.wait(30)
    assert found == list(range(1, 101))


def test_what_runs_goes_on(make: Make, tmp_path: pathlib.Path) -> None:
    """It cannot be cancelled: not by `cancel`, nor by a `map` that is left, nor by asyncio."""
    went: list[bool] = []
    with make(1) as executor:
        future = executor.submit(functions.wait_and_note, str(tmp_path), 0)
        wait_until((tmp_path / "began0").exists)
        went.append(future.cancel() or future.cancelled())
        (tmp_path / "go0").touch()
        assert future.result(30) == 0

        (tmp_path / "go1").touch()
        results = executor.map(functions.wait_and_note, [str(tmp_path)] * 2, [1, 2])
        assert next(results) == 1
        wait_until((tmp_path / "began2").exists)
        results.close()  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
        (tmp_path / "go2").touch()

        async def main() -> None:
            waited = asyncio.get_running_loop().run_in_executor(executor, functions.wait_and_note, str(tmp_path), 3)
            await asyncio.to_thread(wait_until, (tmp_path / "began3").exists)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(waited, 0.01)
            (tmp_path / "go3").touch()

        asyncio.run(main())
    assert went == [False]
    assert (tmp_path / "noted").read_text().split() == ["0", "1", "2", "3"]


def test_results_are_let_go(make: Make) -> None:
    """`map` and `as_completed` hold nothing of what the caller has dropped."""
    with make(1) as executor:
        for value in executor.map(functions.wrapped, range(6), chunksize=2):
            reference = weakref.ref(value)
            del value
            wait_until(lambda: reference() is None)  # noqa: B023 - called before the next one
        futures = {executor.submit(functions.wrapped, number) for number in range(5)}
        for future in concurrent.futures.as_completed(futures, 30):
            futures.discard(future)
            reference = weakref.ref(future.result())
            del future
            wait_until(lambda: reference() is None)  # noqa: B023 - as above


@pytest.mark.parametrize("initializer", [functions.leave_at_once, functions.fail_to_begin], ids=["SystemExit", "ValueError"])
def test_an_initializer_that_fails_breaks_the_executor(make: Make, initializer: Callable[[], None]) -> None:
    """What is open fails, and so does whatever is submitted."""
    with make(1, initializer=initializer) as executor:
        futures = [executor.submit(functions.add, 1)]
        with contextlib.suppress(concurrent.futures.BrokenExecutor):
            futures += [executor.submit(functions.add, number) for number in range(5)]
        for future in futures:
            assert isinstance(future.exception(30), concurrent.futures.process.BrokenProcessPool)
        with pytest.raises(concurrent.futures.BrokenExecutor):
            executor.submit(functions.add, 1)


def test_what_an_initializer_needs_is_read_once(make: Make) -> None:
    """In each worker, however many functions run there."""
    with make(1, initializer=functions.begin_with, initargs=(functions.Counted(),)) as executor:
        assert {future.result(30) for future in [executor.submit(functions.times_read) for _ in range(20)]} == {1}


def test_a_shutdown_while_something_is_submitted(make: Make) -> None:
    """It returns, and what another thread was about to submit is cancelled, refused, or ends."""
    functions._may_be_pickled.clear()
    functions._is_being_pickled.clear()
    executor = make(1)
    assert executor.submit(functions.add, 1).result(30) == 2
    found: list[Any] = []

    def submit() -> None:
        try:
            found.append(executor.submit(functions.add, functions.SlowToPickle()))
        except RuntimeError as error:
            found.append(error)

    threads = [threading.Thread(target=submit), threading.Thread(target=executor.shutdown, kwargs={"cancel_futures": True})]
    threads[0].start()
    assert functions._is_being_pickled.wait(30)
    threads[1].start()
    time.sleep(0.1)
    functions._may_be_pickled.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert isinstance(found[0], RuntimeError) or found[0].done()


# Of ours alone -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def pool(leaves_nothing: object) -> Iterator[snakepit.Pool]:
    """One worker, and few that wait."""
    with snakepit.Pool("snakepit_bridge.functions", size=1, queue_size=3, allow_pickle=True) as opened:
        yield opened


def test_callbacks_may_submit_without_room(pool: snakepit.Pool) -> None:
    """While threads wait for room; and they run on no thread that pools need."""
    with pool.as_executor() as executor:
        told: list[str] = []
        chained: list[concurrent.futures.Future[Any]] = []
        stop = threading.Event()

        def then(_: concurrent.futures.Future[Any]) -> None:
            told.append(threading.current_thread().name)
            chained.extend(executor.submit(functions.add, 1) for _ in range(10))

        def feed() -> None:
            while not stop.is_set():
                executor.submit(functions.nap, 0.001)

        threads = [threading.Thread(target=feed) for _ in range(3)]
        for thread in threads:
            thread.start()
        futures = [executor.submit(functions.nap, 0.001) for _ in range(20)]
        for future in futures:
            future.add_done_callback(lambda _: 1 / 0)  # concerns nobody else
            future.add_done_callback(then)
        wait_until(lambda: len(told) == 20)
        stop.set()
        for thread in threads:
            thread.join(30)
        assert {future.result(30) for future in chained} == {2}
    assert "snakepit-loop" not in told


def test_callbacks_may_not_submit_without_end(pool: snakepit.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot wait for room is refused some day, by an error that says what to do."""
    monkeypatch.setattr("snakepit._api.function_feed._MOST_BEYOND", 10)
    told: list[Any] = []
    over = threading.Event()
    with pool.as_executor() as executor:

        def then(_: concurrent.futures.Future[Any]) -> None:
            try:
                told.extend(executor.submit(functions.nap, 0.01) for _ in range(100))
            except snakepit.QueueFull as error:
                told.append(error)
            over.set()

        executor.submit(functions.nap, 0.1).add_done_callback(then)
        assert over.wait(30)
    assert "submit from another thread" in told.pop().hint
    assert 14 <= len(told) < 100
    assert {future.result(0) for future in told} == {0.01}


def test_a_callback_may_shut_down(pool: snakepit.Pool) -> None:
    """Which cannot wait for itself: the rest is done elsewhere."""
    executor = pool.as_executor(close_pool=False)
    over = threading.Event()

    def then(_: concurrent.futures.Future[Any]) -> None:
        executor.shutdown()
        over.set()

    executor.submit(functions.nap, 0.05).add_done_callback(then)
    assert over.wait(30)
    executor.shutdown()


def test_two_executors_of_a_pool(pool: snakepit.Pool) -> None:
    """And what the application runs beside them: nothing is refused but what is submitted to the pool itself."""
    with pool.as_executor(close_pool=False) as first, pool.as_executor(close_pool=False) as second:
        futures = [executor.submit(functions.nap, 0.005) for _ in range(30) for executor in (first, second)]
    assert {future.result(0) for future in futures} == {0.005}  # also those that were refused during the shutdown


def test_a_shutdown_wakes_who_waits_for_room(pool: snakepit.Pool, tmp_path: pathlib.Path) -> None:
    """With the error that tells of it."""
    executor = pool.as_executor(close_pool=False)
    held = [executor.submit(functions.wait_for, str(tmp_path / "go")) for _ in range(4)]
    raised: list[BaseException] = []

    def submit() -> None:
        try:
            executor.submit(functions.add, 1)
        except RuntimeError as error:
            raised.append(error)

    thread = threading.Thread(target=submit)
    thread.start()
    time.sleep(0.1)  # it waits
    executor.shutdown(wait=False)
    thread.join(30)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(functions.add, 1)
    assert not held[0].done()
    (tmp_path / "go").touch()
    assert all(future.result(30) for future in held)
    assert len(raised) == 1
    executor.shutdown()


@pytest.mark.parametrize(
    ("function", "name", "why"),
    [(functions.fail_unreadably, "Unreadable", "it cannot be read here"), (functions.fail_locked, "Locked", "it cannot be pickled")],
)
def test_an_error_that_cannot_travel(pool: snakepit.Pool, function: Callable[[], None], name: str, why: str) -> None:
    """What it was, what it said and where it was raised is told all the same."""
    with pool.as_executor() as executor:
        error = executor.submit(function).exception(30)
    assert isinstance(error, snakepit.ToolError)
    assert error.type == f"executor_functions.{name}"
    assert "not today" in error.message
    assert why in error.message
    assert "in fail_" in error.traceback
    assert "in fail_" in "".join(traceback.format_exception(error))


def test_a_cancelled_initializer_runs_again(pool: snakepit.Pool, tmp_path: pathlib.Path) -> None:
    """Before the next function, which would be without it."""
    began = tmp_path / "began"
    with pool.as_executor(initializer=functions.begin_with, initargs=(functions.Counted(), str(began)), cancel_running=True) as executor:
        future = executor.submit(functions.times_read)
        wait_until(began.exists)
        assert future.cancel()
        assert executor.submit(functions.times_read).result(30) == 2


def test_threads_wait_for_the_initializer(leaves_nothing: object) -> None:
    """Of a worker that runs several functions at once; it runs once."""
    pool = snakepit.Pool("snakepit_bridge.functions", size=1, profile="thread", threads_per_worker=4, allow_pickle=True)
    with pool.as_executor(initializer=functions.begin_with, initargs=(functions.Counted(),)) as executor:
        assert [future.result(30) for future in [executor.submit(functions.times_read) for _ in range(4)]] == [1] * 4


def test_an_executor_may_be_dropped(pool: snakepit.Pool) -> None:
    """What was submitted ends, and its thread does."""
    future = pool.as_executor(close_pool=False).submit(functions.nap, 0.1)
    assert future.result(30) == 0.1
    wait_until(lambda: all(thread.name != "snakepit-executor" for thread in threading.enumerate()))


def test_a_dropped_executor_leaves_nothing_with_its_pool(pool: snakepit.Pool) -> None:
    """What it offers to the workers is offered until the last of its functions has ended, and no longer."""
    before = pool.host_tool_specs()
    pool.as_executor(close_pool=False)
    wait_until(lambda: pool.host_tool_specs() == before)
    future = pool.as_executor(close_pool=False, initializer=functions.begin_with, initargs=(functions.Counted(),)).submit(
        functions.nap, 0.3
    )
    assert len(pool.host_tool_specs()) == len(before) + 1
    assert future.result(30) == 0.3
    wait_until(lambda: pool.host_tool_specs() == before)


@pytest.mark.parametrize("chunksize", [1, 3])
def test_a_map_with_a_buffer_takes_what_it_needs(pool: snakepit.Pool, chunksize: int) -> None:
    """As Python 3.14's: no more chunks are taken from the iterable than that, ahead of who reads."""
    taken = iter(range(10**9))
    with pool.as_executor(close_pool=False) as executor:
        results = executor.map(functions.add, taken, chunksize=chunksize, buffersize=4)
        assert next(taken) == 4 * chunksize
        assert [next(results) for _ in range(4 * chunksize)] == [number + 1 for number in range(4 * chunksize)]
        assert next(taken) == 8 * chunksize + 1
        results.close()  # type: ignore[attr-defined]
        assert list(executor.map(functions.add, [1, 2], buffersize=4, chunksize=chunksize)) == [2, 3]
        assert list(executor.map(functions.add, [], buffersize=1)) == []


@pytest.mark.parametrize(("size", "error"), [(0, ValueError), (-1, ValueError), ("4", TypeError), (2.0, TypeError)])
def test_a_wrong_buffer_is_refused(pool: snakepit.Pool, size: Any, error: type[Exception]) -> None:
    """At the call, as Python 3.14 does."""
    with pool.as_executor(close_pool=False) as executor, pytest.raises(error, match="buffersize must be"):
        executor.map(functions.add, [1], buffersize=size)  # type: ignore[call-arg]


@pytest.mark.parametrize("initargs", [5, "text", None])
def test_wrong_arguments_of_the_initializer_are_refused(pool: snakepit.Pool, initargs: Any) -> None:
    """By the name of the setting."""
    with pytest.raises(snakepit.InvalidParameter, match=r"initargs is .*; allowed is a tuple, such as \(5,\)"):
        pool.as_executor(initializer=functions.begin_with, initargs=initargs, close_pool=False)


def test_a_callback_that_waits_for_its_own_executor_is_told(pool: snakepit.Pool) -> None:
    """Its thread would wait for itself; for another executor's it may wait."""
    ends: list[Any] = []
    with pool.as_executor(close_pool=False) as executor, pool.as_executor(close_pool=False) as other:

        def wait(_future: object) -> None:
            ends.append(other.submit(functions.add, 1).result(30))
            with contextlib.suppress(TimeoutError):
                executor.submit(functions.add, 1).result(0)
            try:
                executor.submit(functions.add, 1).result()
            except snakepit.PoolError as error:
                ends.append(error.code)

        executor.submit(functions.add, 0).add_done_callback(wait)
        wait_until(lambda: len(ends) == 2)
    assert ends == [2, "would_deadlock"]


def test_a_future_does_not_keep_the_executor() -> None:
    """Nor its pool, once it is done: who drops the executor has no workers any more."""
    executor = snakepit.Pool("snakepit_bridge.functions", size=1, allow_pickle=True).as_executor()
    gone = weakref.ref(executor._pool)  # type: ignore[attr-defined]
    future = executor.submit(functions.add, 1)
    assert future.result(30) == 2
    del executor
    wait_until(lambda: gc.collect() >= 0 and gone() is None)
    assert future.result() == 2


def test_nobody_elses_pickle_is_read(pool: snakepit.Pool) -> None:
    """What an executor sends is read, and nothing that only looks like it."""
    for work in (["executor_1", b"\x80\x05K\x01.", []], {"executor": "executor_1", "data": b"\x80\x05K\x01.", "buffers": []}, None):
        with pytest.raises(snakepit.ToolError, match="allowed is what Pool.as_executor"):
            pool.execute("call_function", {"work": work})


def test_an_odd_end_is_nobody_elses() -> None:
    """An error that takes no attributes, and a callback that wants to leave: the futures that follow are told, and the executor ends."""
    with snakepit.Pool("snakepit_bridge.functions", size=1, allow_pickle=True).as_executor() as executor:
        assert isinstance(executor.submit(functions.freeze).exception(20), functions.Frozen)
        executor.submit(functions.nap, 0.2).add_done_callback(lambda _future: sys.exit(3))
        assert executor.submit(functions.add, 1).result(20) == 2
