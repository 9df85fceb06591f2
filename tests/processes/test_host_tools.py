"""Tools call functions of the application: sync and async, streams, errors both ways, nesting, cancellation, ends."""

from __future__ import annotations

import asyncio
import contextvars
import pathlib
import threading
import time
import traceback
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import snakepit
from pool_helpers import all_ready, idle, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_leaves_nothing")]

CALLING, ASYNC_CALLING = "host_tool_tools:Calling", "host_tool_tools:AsyncCalling"


class Desk:
    """What the application offers, and what it saw."""

    def __init__(self) -> None:
        self.threads: set[str] = set()
        self.contexts: list[snakepit.HostCallContext] = []
        self.closed = threading.Event()
        self.begun = threading.Event()
        self.saw_cancel = threading.Event()

    def double(self, value: int) -> int:
        """Twice as much."""
        self.threads.add(threading.current_thread().name)
        self.contexts.append(snakepit.current_host_call())
        return 2 * value

    async def double_later(self, value: int) -> int:
        await asyncio.sleep(0.001)
        self.contexts.append(snakepit.current_host_call())
        return 2 * value

    def rows(self, count: int) -> Iterator[dict[str, int]]:
        try:
            for number in range(count):
                yield {"row": number}
        finally:
            self.closed.set()

    async def rows_later(self, count: int) -> AsyncIterator[int]:
        try:
            for number in range(count):
                yield number
        finally:
            self.closed.set()

    def boom(self) -> None:
        raise LookupError("no such order")

    def slow(self) -> str:
        self.begun.set()
        context = snakepit.current_host_call()
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            if context.cancelled:
                self.saw_cancel.set()
                return "cancelled"
            time.sleep(0.005)
        return "not cancelled"

    async def slow_later(self) -> None:
        self.begun.set()
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            self.saw_cancel.set()
            raise

    def unsendable(self) -> Any:
        return {"a": [object()]}

    def endless(self) -> Iterator[int]:
        try:
            number = 0
            while True:
                yield number
                number += 1
        finally:
            self.closed.set()


@pytest.fixture
def desk() -> Desk:
    """Fresh for each test."""
    return Desk()


@pytest.fixture(params=[CALLING, ASYNC_CALLING])
def pool(request: pytest.FixtureRequest, desk: Desk) -> Iterator[snakepit.Pool]:
    """A pool of sync callers, and one of async ones, offering what is on the desk."""
    with snakepit.Pool(request.param, size=2) as pool:
        for name in ("double", "double_later", "rows", "rows_later", "boom", "slow", "slow_later", "unsendable", "endless"):
            pool.register_tool(getattr(desk, name))
        all_ready(pool)
        yield pool
        idle(pool)


# calls -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["double", "double_later"])
def test_a_tool_calls_a_function_of_the_application(pool: snakepit.Pool, name: str) -> None:
    """Sync and async functions alike, from sync and async tools."""
    assert pool.execute("ask", {"name": name, "args": [21]}) == 42


def test_sync_host_tools_never_run_on_the_loop(pool: snakepit.Pool, desk: Desk) -> None:
    """They run on threads of their own."""
    pool.execute("ask", {"name": "double", "args": [1]})
    assert desk.threads == {"snakepit-host-tool-1"}


def test_the_host_tool_knows_who_asks(pool: snakepit.Pool, desk: Desk) -> None:
    """Its name, the caller, the worker, the session."""
    pool.execute("ask", {"name": "double", "args": [1]}, session_id="asking")
    pool.execute("ask", {"name": "double_later", "args": [1]})
    first, second = desk.contexts
    assert (first.tool, first.caller, first.session_id, first.depth) == ("double", "ask", "asking", 1)
    assert first.worker_id in {handle.id for handle in pool.workers()}
    assert second.session_id == ""
    pool.end_session("asking")
    with pytest.raises(RuntimeError, match="no host tool is running here"):
        snakepit.current_host_call()


@pytest.mark.parametrize("name", ["rows", "rows_later"])
def test_generators_stream(pool: snakepit.Pool, desk: Desk, name: str) -> None:
    """Thousands of items, in order, far beyond the window; none is lost."""
    found = pool.execute("collect", {"name": name, "args": [5000]})
    assert [item["row"] if isinstance(item, dict) else item for item in found] == list(range(5000))
    assert desk.closed.is_set()
    assert pool.execute("collect", {"name": name, "args": [0]}) == []


@pytest.mark.parametrize("name", ["rows", "rows_later", "endless"])
def test_leaving_a_stream_early_closes_the_generator(pool: snakepit.Pool, desk: Desk, name: str) -> None:
    """The host's generator is closed although it has more, and the next call works."""
    args = [] if name == "endless" else [100_000]
    assert len(pool.execute("collect", {"name": name, "args": args, "limit": 3})) == 3
    assert desk.closed.wait(2)
    assert pool.execute("ask", {"name": "double", "args": [1]}) == 2


def test_dropping_a_stream_closes_the_generator(pool: snakepit.Pool, desk: Desk) -> None:
    """An iterator that nobody holds any more is left, although the tool works on."""
    future = pool.submit("drop", {"name": "endless"})
    assert desk.closed.wait(1.5)
    assert not future.done()
    assert future.result() == 1


def test_a_tool_streams_on_what_the_host_streams(pool: snakepit.Pool) -> None:
    """Chunks from the host through the worker and back."""
    assert list(pool.stream("relay", {"name": "rows_later", "args": [3000]}).values()) == list(range(3000))


def test_a_slow_reader_bounds_the_host_tool(pool: snakepit.Pool, desk: Desk) -> None:
    """An endless host generator behind a reader that has stopped stops too, within the window."""
    with pool.stream("relay", {"name": "endless"}) as stream:
        next(stream)
        time.sleep(0.3)
        assert not desk.closed.is_set()
    assert desk.closed.wait(3)


# errors ------------------------------------------------------------------------------------------------------------------


def test_both_tracebacks_reach_the_caller(pool: snakepit.Pool) -> None:
    """What the host tool raised goes through the tool to the application, with the lines of both."""
    with pytest.raises(snakepit.ToolError, match="host tool 'boom' raised LookupError: no such order") as caught:
        pool.execute("ask", {"name": "boom"})
    text = "".join(traceback.format_exception(caught.value))
    assert 'raise LookupError("no such order")' in text
    assert "in ask" in text


def test_the_tool_may_handle_the_error(desk: Desk) -> None:
    """It sees code, type, message and the host's traceback."""
    with snakepit.Pool(CALLING, size=1) as pool:
        pool.register_tool(desk.boom)
        found = pool.execute("handled", {"name": "boom"})
        assert (found["code"], found["type"], found["message"]) == ("host_tool_error", "LookupError", "no such order")
        assert "in boom" in found["traceback"]
        found = pool.execute("handled", {"name": "bom"})
        assert found["code"] == "unknown_tool"
        assert "did you mean 'boom'?" in found["message"]


def test_wrong_arguments_are_told_to_the_tool(pool: snakepit.Pool) -> None:
    """As for tools: the function is not called."""
    with pytest.raises(snakepit.ToolError, match="value"):
        pool.execute("ask", {"name": "double", "args": ["text"]})
    with pytest.raises(snakepit.ToolError, match="double"):
        pool.execute("ask", {"name": "double", "args": [1, 2, 3]})


def test_a_result_that_cannot_travel_is_marked(pool: snakepit.Pool) -> None:
    """Where it stands; the tool gets the rest."""
    assert pool.execute("ask", {"name": "unsendable"}) == {"a": [{"__ffi_unserializable__": True, "__type__": "builtins.object"}]}


def test_a_result_that_is_not_there_yet(desk: Desk) -> None:
    """An async tool that forgot to await, a tool that gives away the host's iterator: the message says what to do instead."""
    with snakepit.Pool(ASYNC_CALLING, size=1) as pool:
        pool.register_tool(desk.double)
        pool.register_tool(desk.rows)
        with pytest.raises(snakepit.ToolError, match="the tool returned a coroutine: `await` it first"):
            pool.execute("forget", {"name": "double"})
        with pytest.raises(snakepit.SerializationError, match=r"result\['answer'\] is a coroutine: `await` it first"):
            pool.execute("forget", {"name": "double", "inside": True})
        with pytest.raises(snakepit.ToolError, match="returned an iterator of host tool 'rows': collect it with .*async for"):
            pool.execute("give", {"name": "rows"})
        assert desk.closed.wait(2)
    with snakepit.Pool(CALLING, size=1) as pool:
        pool.register_tool(desk.endless)
        with pytest.raises(snakepit.ToolError, match=r"returned an iterator of host tool 'endless': list\(\) it"):
            pool.execute("give", {"name": "endless"})


def test_a_host_tool_as_attribute() -> None:
    """It is no attribute: the message says how it is called."""
    with snakepit.Pool(CALLING, size=1) as pool:
        assert "self.host_tools['double'](...)" in pool.execute("as_attribute")


def test_metadata_may_be_returned() -> None:
    """Read-only as it is, it travels as a dict."""
    with snakepit.Pool(CALLING, size=1) as pool:
        assert pool.session(metadata={"user": "ann", "deep": [{"n": 1}]}).execute("metadata") == {"user": "ann", "deep": [{"n": 1}]}


def test_a_blocking_call_in_an_async_host_tool() -> None:
    """It would wait for itself: refused with the cure."""
    with snakepit.Pool(CALLING, size=2) as pool:

        @pool.host_tool
        async def again() -> Any:
            return pool.execute("pid")

        with pytest.raises(snakepit.ToolError, match="make the host tool a plain def"):
            pool.execute("give", {"name": "again"})


def test_an_argument_that_cannot_travel_is_named(desk: Desk) -> None:
    """By a TypeError in the tool; nothing is sent."""
    with snakepit.Pool(CALLING, size=1) as pool:
        pool.register_tool(desk.double)
        with pytest.raises(snakepit.ToolError, match="host tool 'double': argument .*is a object"):
            pool.execute("unsendable", {"name": "double"})
        assert desk.contexts == []


# registration --------------------------------------------------------------------------------------------------------------


def test_registration() -> None:
    """Before and after the start, by decorator, under another name; duplicates are refused; what is taken back is gone."""
    pool = snakepit.Pool(CALLING, size=1)

    @pool.host_tool
    def early() -> str:
        return "early"

    @pool.host_tool(name="renamed", description="Under another name")
    def late() -> str:
        return "late"

    with pool:
        assert early() == "early"
        assert pool.execute("ask", {"name": "early"}) == "early"
        assert pool.execute("ask", {"name": "renamed"}) == "late"
        pool.register_tool(lambda: "lambda", name="after")
        assert pool.execute("names") == ["after", "early", "renamed"]
        assert pool.execute("offers", {"name": "early"}) is True
        assert pool.execute("offers", {"name": "late"}) is False
        with pytest.raises(snakepit.InvalidToolSpec, match="early") as caught:
            pool.register_tool(early)
        assert caught.value.code == "duplicate_tool"
        assert pool.unregister_tool("early") is True
        assert pool.unregister_tool("early") is False
        assert pool.execute("handled", {"name": "early"})["code"] == "unknown_tool"
        with pytest.raises(snakepit.InvalidToolSpec):
            pool.register_tool("early")  # type: ignore[arg-type]


def test_where_host_tools_are_seen() -> None:
    """`host_tool_specs` tells what is offered, to all or to a session's calls; `tool_specs` tells what workers offer."""
    with snakepit.Pool(CALLING, size=1) as pool, snakepit.Pool(CALLING, size=1) as other:
        session = pool.session("you")

        @pool.host_tool(session_id=session, description="Yours")
        def own(value: int) -> int:
            return value + 1

        @pool.host_tool
        def general() -> int:
            return 1

        assert [(spec.name, spec.source, spec.session_id) for spec in pool.host_tool_specs()] == [("general", "host", "")]
        assert [spec.name for spec in pool.host_tool_specs(session_id=session)] == ["general", "own"]
        assert pool.host_tool_specs(session_id="you")[1].description == "Yours"
        assert all(spec.source == "worker" for spec in pool.tool_specs())
        assert session.execute("ask", {"name": "own", "args": [1]}) == 2
        with pytest.raises(snakepit.InvalidParameter, match="belongs to another pool"):
            other.register_tool(general, session_id=session)
        assert pool.unregister_tool(own, session_id=session) is True
        assert pool.unregister_tool(general) is True
        assert pool.host_tool_specs(session_id="you") == ()
    with pytest.raises(snakepit.PoolClosed):
        pool.register_tool(general)


def test_tools_of_one_session() -> None:
    """Offered to its calls only, in place of a general one of that name, and gone when it ends."""
    with snakepit.Pool(CALLING, size=1) as pool:
        pool.register_tool(lambda: "for all", name="greet")
        pool.register_tool(lambda: "for you", name="greet", session_id="you")
        pool.register_tool(lambda: 1, name="private", session_id="you")
        assert pool.execute("ask", {"name": "greet"}) == "for all"
        assert pool.execute("ask", {"name": "greet"}, session_id="you") == "for you"
        assert pool.execute("names", session_id="you") == ["greet", "private"]
        assert pool.execute("names") == ["greet"]
        pool.end_session("you")
        assert pool.execute("ask", {"name": "greet"}, session_id="you") == "for all"


# nesting -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("adapter", [CALLING, ASYNC_CALLING])
def test_a_host_tool_calls_the_pool_again(adapter: str) -> None:
    """On another worker, under the correlation id of the first call."""
    seen = []
    with snakepit.Pool(adapter, size=2) as pool:
        all_ready(pool)

        @pool.host_tool
        def outer() -> Any:
            seen.append(snakepit.current_host_call())
            return pool.execute("ask", {"name": "inner"})

        @pool.host_tool
        def inner() -> int:
            seen.append(snakepit.current_host_call())
            return 7

        assert pool.execute("ask", {"name": "outer"}) == 7
        assert [context.depth for context in seen] == [1, 2]
        assert seen[0].correlation_id == seen[1].correlation_id


def test_calls_in_a_circle_end() -> None:
    """At `max_call_depth`, with an error that says so."""
    with snakepit.Pool(CALLING, size=6, max_call_depth=3) as pool:
        all_ready(pool)

        @pool.host_tool
        def again() -> Any:
            return pool.execute("ask", {"name": "again"})

        with pytest.raises(snakepit.ToolError, match="max_call_depth is 3"):
            pool.execute("ask", {"name": "again"})


def test_a_call_that_no_worker_can_take_fails_at_once() -> None:
    """Every worker waits for a host tool that asks for another call: it is told so, not left to its deadline."""
    with snakepit.Pool(CALLING, size=1) as pool:

        @pool.host_tool
        def back() -> Any:
            return pool.execute("pid", timeout=None)

        @pool.host_tool
        def back_by_future() -> Any:
            return pool.submit("pid").result()

        @pool.host_tool
        def fire_and_forget() -> str:
            pool.submit("pid")
            return "submitted"

        for name in ("back", "back_by_future"):
            began = time.monotonic()
            with pytest.raises(snakepit.ToolError, match="could never run: each of the 1 workers of this pool waits"):
                pool.execute("ask", {"name": name})
            assert time.monotonic() - began < 2
        assert pool.execute("ask", {"name": "fire_and_forget"}) == "submitted"


def test_only_as_many_fail_as_must() -> None:
    """Two calls on two workers ask for a third: the later is refused, and so the earlier can be served."""
    with snakepit.Pool(CALLING, size=2) as pool:
        all_ready(pool)
        both = threading.Barrier(2, timeout=5)

        @pool.host_tool
        def back() -> Any:
            both.wait()
            return pool.execute("pid")

        outcomes = [future.exception(timeout=10) for future in [pool.submit("ask", {"name": "back"}) for _ in range(2)]]
        assert sum(outcome is None for outcome in outcomes) == 1


def test_a_strict_session_that_waits_for_itself_fails_at_once() -> None:
    """The session's only worker waits for the host tool; others do not count."""
    with snakepit.Pool(CALLING, size=2, affinity="strict_queue") as pool:
        all_ready(pool)
        session = pool.session()

        @pool.host_tool
        def back() -> Any:
            return session.execute("pid")

        with pytest.raises(snakepit.ToolError, match="the worker of session"):
            session.execute("ask", {"name": "back"})


# cancellation ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["slow", "slow_later"])
def test_a_cancelled_tool_cancels_its_host_call(pool: snakepit.Pool, desk: Desk, name: str) -> None:
    """Async functions are cancelled, sync ones can see it; the worker lives on."""
    future = pool.submit("ask", {"name": name})
    assert desk.begun.wait(5)
    future.cancel()
    assert desk.saw_cancel.wait(2)
    idle(pool)
    assert pool.stats().killed == 0
    assert pool.stats().restarts == 0


@pytest.mark.parametrize("name", ["slow", "slow_later"])
def test_a_deadline_ends_the_host_call_too(pool: snakepit.Pool, desk: Desk, name: str) -> None:
    """The tool's own deadline holds for what it calls."""
    with pytest.raises(snakepit.WorkerTimeout):
        pool.execute("ask", {"name": name}, timeout=0.3)
    assert desk.saw_cancel.wait(2)


def test_a_host_call_has_a_timeout_of_its_own(desk: Desk) -> None:
    """`options(timeout=...)`: the tool gets `HostToolTimeout`, the host call is cancelled."""
    with snakepit.Pool(CALLING, size=1) as pool:
        pool.register_tool(desk.slow)
        with pytest.raises(snakepit.ToolError, match="HostToolTimeout.*no answer within 0.2 s"):
            pool.execute("ask", {"name": "slow", "timeout": 0.2})
        assert desk.saw_cancel.wait(2)


def test_a_dead_worker_ends_its_host_calls(desk: Desk) -> None:
    """Killed while it waits: the host call is cancelled, the caller gets `WorkerCrashed`."""
    with snakepit.Pool(CALLING, size=1) as pool:
        pool.register_tool(desk.slow_later)
        future = pool.submit("ask", {"name": "slow_later"})
        assert desk.begun.wait(5)
        worker = pool.workers()[0]
        import os
        import signal

        os.kill(worker.pid or 0, signal.SIGKILL)
        with pytest.raises(snakepit.WorkerCrashed):
            future.result(timeout=5)
        assert desk.saw_cancel.wait(2)


def test_closing_the_pool_ends_host_tools(desk: Desk) -> None:
    """Nothing of them is left when `close` has returned."""
    pool = snakepit.Pool(CALLING, size=1)
    pool.register_tool(desk.slow_later)
    pool.register_tool(desk.endless)
    pool.start()
    future = pool.submit("ask", {"name": "slow_later"})
    assert desk.begun.wait(5)
    pool.close()
    assert desk.saw_cancel.is_set()
    with pytest.raises(snakepit.PoolClosed):
        future.result()
    wait_until(lambda: not [item for item in threading.enumerate() if item.name.startswith("snakepit-host-tool")], "the threads' end")


# many at once ----------------------------------------------------------------------------------------------------------------


def test_many_host_calls_at_once(desk: Desk) -> None:
    """An async tool asks two hundred times at once; sync host tools share a bounded number of threads."""
    with snakepit.Pool(ASYNC_CALLING, size=1, host_tool_threads=4) as pool:
        pool.register_tool(desk.double)
        pool.register_tool(desk.double_later)
        assert pool.execute("gather", {"name": "double", "count": 200}) == [2 * number for number in range(200)]
        assert pool.execute("gather", {"name": "double_later", "count": 200}) == [2 * number for number in range(200)]
        assert sum(item.name.startswith("snakepit-host-tool") for item in threading.enumerate()) <= 4


def test_blocking_host_tools_do_not_block_each_other_or_the_loop() -> None:
    """While one blocks, others run, and so do calls without host tools."""
    release = threading.Event()
    with snakepit.Pool(CALLING, size=2) as pool:
        all_ready(pool)
        pool.register_tool(release.wait, name="block")
        blocked = pool.submit("ask", {"name": "block", "args": [10]})
        wait_until(blocked.running, "a blocked call")
        pool.register_tool(lambda: "free", name="free")
        assert pool.execute("ask", {"name": "free"}) == "free"
        release.set()
        assert blocked.result() is True


# from elsewhere in the worker ------------------------------------------------------------------------------------------------


def test_a_thread_of_the_tool_may_call_too() -> None:
    """If it was handed the tool's context; after the call's end it is told that it is too late."""
    with snakepit.Pool(CALLING, size=1) as pool:
        pool.register_tool(lambda: 5, name="five")
        assert pool.execute("in_thread", {"name": "five"}) == 5


def test_after_the_call_has_ended(tmp_path: pathlib.Path) -> None:
    """A thread that outlives the call gets a clear error."""
    with snakepit.Pool(CALLING, size=1) as pool:
        pool.register_tool(lambda: 5, name="five")
        said = tmp_path / "said"
        pool.execute("after_its_end", {"name": "five", "path": str(said)})
        wait_until(lambda: said.exists() and said.read_text(encoding="utf-8"), "the error")
        assert "has ended" in said.read_text(encoding="utf-8")


def test_a_sync_tool_with_a_loop_of_its_own() -> None:
    """In `asyncio.run` host tools are awaited."""
    with snakepit.Pool(CALLING, size=1) as pool:
        pool.register_tool(lambda: 5, name="five")
        assert pool.execute("loop_of_its_own", {"name": "five"}) == 5


def test_a_sync_tool_in_an_async_worker() -> None:
    """It blocks for the answer, although the worker's main thread has a loop."""
    with snakepit.Pool(ASYNC_CALLING, size=1) as pool:
        pool.register_tool(lambda: 5, name="five")
        assert pool.execute("sync_ask", {"name": "five"}) == 5


async def test_host_tools_of_an_async_pool() -> None:
    """Async functions run on the application's own loop, and call the pool without blocking it."""
    async with snakepit.AsyncPool(CALLING, size=2) as pool:
        marker: contextvars.ContextVar[str] = contextvars.ContextVar("marker")
        loops = []

        @pool.host_tool
        async def back() -> Any:
            loops.append(asyncio.get_running_loop())
            return await pool.execute("pid")

        marker.set("x")
        found = await pool.execute("ask", {"name": "back"})
        assert isinstance(found, int)
        assert loops == [asyncio.get_running_loop()]


def test_binary_parameters_reach_host_tools() -> None:
    """`options(binary_parameters=...)`: large bytes arrive as bytes beside the other arguments."""
    with snakepit.Pool(CALLING, size=1) as pool:
        pool.register_tool(lambda note, blob: [note, type(blob).__name__, len(blob)], name="store")
        assert pool.execute("binary", {"name": "store", "size": 2_000_000}) == ["n", "bytes", 2_000_000]
