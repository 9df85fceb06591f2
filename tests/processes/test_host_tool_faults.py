"""What goes wrong with host tools stays with the call that it went wrong in: odd exceptions, names, options, readers, ends of loops."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import snakepit
from pool_helpers import finished, idle, script
from snakepit_bridge.wire.frames import Window

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_leaves_nothing")]

#: More than the window of a host tool's stream holds, and less than it and what may be yielded ahead.
ROWS = Window().chunks + 40

ODD, ODD_ASYNC = "host_tool_odd_tools:Odd", "host_tool_odd_tools:OddAsync"


class _Unspeakable(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class _Interrupting(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt


class _Leaving(dict[str, int]):
    """Leaves the program when it is encoded."""

    def __len__(self) -> int:
        raise SystemExit(5)

    def items(self) -> Any:
        raise SystemExit(5)

    def __iter__(self) -> Iterator[str]:
        raise SystemExit(5)


@pytest.fixture(scope="module")
def shared() -> Iterator[snakepit.Pool]:
    """A pool that must serve on after each of these tests."""
    with snakepit.Pool(ODD, size=1) as pool:
        yield pool
        assert pool.stats().restarts == 0


@pytest.fixture
def pool(shared: snakepit.Pool) -> Iterator[snakepit.Pool]:
    """It, with an open end: what a test offers is taken back."""
    before = set(shared.execute("names"))
    yield shared
    idle(shared)
    assert isinstance(shared.execute("pid"), int)
    for name in set(shared.execute("names")) - before:
        shared.unregister_tool(name)


# odd exceptions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [_Unspeakable, _Interrupting])
@pytest.mark.parametrize("how", ["function", "coroutine", "generator"])
def test_an_exception_that_cannot_be_shown_costs_its_own_call_alone(pool: snakepit.Pool, kind: type[Exception], how: str) -> None:
    """Its text leaves the program: the caller is told, and the loop of all pools runs on."""

    def function() -> None:
        raise kind

    async def coroutine() -> None:
        raise kind

    def generator() -> Iterator[int]:
        yield from ()
        raise kind

    pool.register_tool({"function": function, "coroutine": coroutine, "generator": generator}[how], name="bad")
    with pytest.raises(snakepit.ToolError, match=rf"raised \S*{kind.__name__}: <its text cannot be shown: (SystemExit|KeyboardInterrupt)>"):
        pool.execute("ask", {"name": "bad"}, timeout=5)


def test_a_result_whose_encoding_raises(pool: snakepit.Pool) -> None:
    """Whatever its methods raise, the tool gets an answer."""
    pool.register_tool(lambda: [_Leaving(a=1)], name="leaving")
    try:
        found = pool.execute("ask", {"name": "leaving"}, timeout=5)
    except snakepit.ToolError as error:
        assert "host tool 'leaving'" in error.message
    else:
        assert found == [{"a": 1}]  # a codec that does not ask the object


async def test_the_loop_of_an_async_pool_survives_too() -> None:
    """It is the application's own."""
    async with snakepit.AsyncPool(ODD, size=1) as pool:

        @pool.host_tool
        def bad() -> None:
            raise _Interrupting

        with pytest.raises(snakepit.ToolError, match="_Interrupting"):
            await asyncio.wait_for(pool.execute("ask", {"name": "bad"}), 5)


def test_what_was_yielded_before_an_error_arrives(pool: snakepit.Pool) -> None:
    """More than the window holds, then an error: first the items, then the error."""

    def rows() -> Iterator[int]:
        yield from range(ROWS)
        raise LookupError

    pool.register_tool(rows)
    assert pool.execute("until_it_fails", {"name": "rows"}) == [*range(ROWS), "HostToolError"]


# names and options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("which", "came"), [(0, "a int"), (1, "a NoneType"), (2, "a bytes"), (3, r"'\ud800', which is no Unicode text")])
def test_a_name_that_is_no_text_is_refused(pool: snakepit.Pool, which: int, came: str) -> None:
    """By a TypeError in the tool, which says how it is written; nothing is sent."""
    assert pool.execute("ask_by", {"which": which}) == f'a host tool\'s name is {came}; allowed is text: self.host_tools["name"](...)'


def test_host_tools_choose_the_type_of_binary_parameters(pool: snakepit.Pool) -> None:
    """As tools do: `memoryview` and `bytearray` by annotation, else bytes."""

    def view(blob: memoryview) -> list[Any]:
        return [type(blob).__name__, bytes(blob)]

    def array(blob: bytearray) -> list[Any]:
        return [type(blob).__name__, bytes(blob)]

    def plain(blob) -> list[Any]:
        return [type(blob).__name__, bytes(blob)]

    for function, kind in ((view, "memoryview"), (array, "bytearray"), (plain, "bytes")):
        pool.register_tool(function)
        assert pool.execute("send", {"name": function.__name__}, binary_parameters={"blob": b"abc"}) == [kind, b"abc"]


def test_binary_parameters_go_where_bytes_are_taken(pool: snakepit.Pool) -> None:
    """A function that is annotated with something else is not called; the tool is told why."""

    def count(blob: int) -> int:
        return blob

    pool.register_tool(count)
    with pytest.raises(snakepit.ToolError, match=r"count\(\): 'blob' is annotated int, which takes no bytes"):
        pool.execute("send", {"name": "count"}, binary_parameters={"blob": b"abc"})


@pytest.mark.parametrize("timeout", ["inf", "nan", "-1", "0"])
def test_a_timeout_that_is_none_is_refused(pool: snakepit.Pool, timeout: str) -> None:
    """With what is allowed, before anything is sent."""
    said = pool.execute("refused", {"name": "any", "timeout": timeout})
    assert said == f"ValueError: timeout is {float(timeout)!r}; allowed is a finite number of seconds above 0, or None for no limit"


@pytest.mark.parametrize("seconds", [1e10, 1e300])
def test_a_timeout_longer_than_threads_can_wait(pool: snakepit.Pool, seconds: float) -> None:
    """Is as good as none."""
    pool.register_tool(lambda: time.sleep(0.05) or "slept", name="slow")
    assert pool.execute("timeout", {"name": "slow", "seconds": seconds}) == "slept"


@pytest.mark.parametrize(
    ("which", "said"),
    [
        (0, "binary_parameters['blob'] is a int; allowed are bytes, bytearray and memoryview"),
        (1, "a key of binary_parameters is a int; allowed are names of parameters"),
        (2, r"a key of binary_parameters is '\ud800', which is no Unicode text; allowed are names of parameters"),
        (3, "binary_parameters is a list; allowed is a dict of bytes by parameter name"),
    ],
)
def test_binary_parameters_that_are_none(pool: snakepit.Pool, which: int, said: str) -> None:
    """Each is named as the tool wrote it."""
    assert pool.execute("refused", {"name": "any", "binary": which}) == f"TypeError: {said}"


def test_a_released_view_is_named(pool: snakepit.Pool) -> None:
    """Instead of the bare error of `memoryview`."""
    assert "binary_parameters['blob'] is a memoryview that has been released" in pool.execute("released", {"name": "any"})


def test_options_add_up(pool: snakepit.Pool) -> None:
    """What is not given again stays; None takes a limit away."""
    pool.register_tool(lambda blob=b"": time.sleep(0.4) or len(blob), name="slow")
    with pytest.raises(snakepit.ToolError, match=r"no answer within 0\.1 s"):
        pool.execute("chained", {"name": "slow"})
    assert pool.execute("unlimited", {"name": "slow"}) == 0


# streams -------------------------------------------------------------------------------------------------------------------


def test_two_readers_of_one_stream() -> None:
    """The second is refused, as by an async generator; the first reads on to the end."""
    with snakepit.Pool(ODD_ASYNC, size=1) as pool:
        pool.register_tool(lambda rows: (number for number in range(rows)), name="rows")
        first, second = pool.execute("two_readers", {"name": "rows", "rows": 2000}, timeout=10)
        assert first == 2000
        assert "another task is waiting for its next item" in second


def test_more_open_generators_than_threads() -> None:
    """Twelve streams read in step, and places for two: each waits for its reader without keeping others from running."""
    with snakepit.Pool(ODD, size=1, host_tool_threads=2) as pool:
        pool.register_tool(lambda rows: (number for number in range(rows)), name="rows")
        assert pool.execute("zipped", {"name": "rows", "streams": 12, "rows": 2 * ROWS}, timeout=20) == 2 * ROWS


def test_generators_that_wait_leave_room_for_functions() -> None:
    """Streams that nobody reads further hold no place of a sync host tool, and are closed with the call."""
    closed = threading.Semaphore(0)

    def rows(count: int) -> Iterator[int]:
        try:
            yield from range(count)
        finally:
            closed.release()

    with snakepit.Pool(ODD, size=1, host_tool_threads=2) as pool:
        pool.register_tool(rows)
        pool.register_tool(lambda: "free", name="other")
        assert pool.execute("hold", {"name": "rows", "streams": 6, "other": "other"}, timeout=10) == ["free", 0, 0, 0, 0, 0, 0]
        assert all(closed.acquire(timeout=3) for _ in range(6))


def test_a_generator_stays_on_its_thread() -> None:
    """What it holds may belong to that, as a connection of sqlite3 does; however often it waits for its reader."""

    def rows(count: int) -> Iterator[int]:
        database = sqlite3.connect(":memory:")
        database.execute("create table t as with recursive n(i) as (select 0 union all select i + 1 from n where i < 2999) select i from n")
        for (number,) in database.execute("select i from t limit ?", (count,)):
            yield number
        database.close()

    with snakepit.Pool(ODD, size=1, host_tool_threads=2) as pool:
        pool.register_tool(rows)
        assert pool.execute("zipped", {"name": "rows", "streams": 5, "rows": 1500}, timeout=20) == 1500


def test_as_many_generators_may_wait_as_the_limit_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is refused with a cure; nothing stalls."""
    monkeypatch.setattr("snakepit._pool.host_tools.threads._MAX_PARKED", 3)
    with snakepit.Pool(ODD, size=1, host_tool_threads=2) as pool:
        pool.register_tool(lambda rows: (number for number in range(rows)), name="rows")
        with pytest.raises(snakepit.ToolError, match="3 generators of host tools wait for their readers already"):
            pool.execute("zipped", {"name": "rows", "streams": 6, "rows": 100_000}, timeout=10)
        assert pool.execute("zipped", {"name": "rows", "streams": 3, "rows": 1000}, timeout=10) == 1000


# the end of a loop -----------------------------------------------------------------------------------------------------------


def test_a_loop_that_ends_under_its_pool_leaves_no_thread() -> None:
    """A generator that waits for its reader when the application's loop ends is closed, and its thread goes on."""
    program = script("""
        import asyncio, threading, snakepit

        closed, waits = threading.Event(), threading.Event()

        def endless():
            try:
                for number in range(10_000_000):
                    if number > 100:
                        waits.set()
                    yield number
            finally:
                closed.set()

        async def main():
            pool = snakepit.AsyncPool("host_tool_odd_tools:Odd", size=1)
            pool.register_tool(endless)
            await pool.start()
            call = pool.submit("hold_still", {"name": "endless", "seconds": 20})
            await asyncio.to_thread(waits.wait, 5)
            await asyncio.sleep(0.3)

        if __name__ == "__main__":
            asyncio.run(main())
            print(waits.is_set(), closed.wait(3))
    """)
    _, out, err = finished(program, 30)
    assert out.split() == ["True", "True"], err
