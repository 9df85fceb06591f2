"""Tools of all four kinds in a worker: on which thread they run, what belongs to a call, what lives between calls."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import pytest

import snakepit
from worker_faces import AsyncFace, SyncFace, adapter, face_of, nothing_left

pytestmark = pytest.mark.slow

Face = SyncFace | AsyncFace


@pytest.fixture(scope="module", autouse=True)
def leaves_nothing_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Looked at once for the whole module: its pools serve many tests."""
    with nothing_left(tmp_path_factory):
        yield


@pytest.fixture(scope="module", params=["sync", "async"])
def kinds(request: pytest.FixtureRequest) -> Iterator[Face]:
    """An adapter with tools of all kinds, behind either face of the pool."""
    with face_of(request.param, adapter("kinds", "Kinds")) as face:
        yield face


@pytest.fixture(scope="module")
def sync_only() -> Iterator[Face]:
    """An adapter without anything async."""
    with face_of("sync", adapter("kinds", "Sync")) as face:
        yield face


# Where tools run -----------------------------------------------------------------------------------------------------


def test_all_four_kinds_run_on_the_main_thread(kinds: Face) -> None:
    """Function, coroutine, generator and async generator: all on the main thread of one process, I/O on a thread beside it."""
    facts = [kinds.execute("function"), kinds.execute("coroutine"), *kinds.values("generator"), *kinds.values("async_generator")]
    assert len(facts) == 5
    assert [fact["main"] for fact in facts] == [True] * 5
    assert {fact["pid"] for fact in facts} == {kinds.pool.workers()[0].info().pid}
    carrier = {"grpc": "snakepit-grpc"}.get(kinds.pool.stats().protocol, "snakepit-reader")
    assert all(carrier in fact["threads"] for fact in facts)


def test_sync_tools_may_run_a_loop_of_their_own(kinds: Face, sync_only: Face) -> None:
    """`asyncio.run` works in a sync tool whether or not other tools of the adapter are async; async tools see a running loop."""
    for face in (kinds, sync_only):
        assert face.execute("own_loop") == "from a loop of its own"
        assert face.execute("function")["loop"] is False
    assert kinds.execute("coroutine")["loop"] is True


def test_a_worker_without_async_tools_runs_on_the_main_thread_too(sync_only: Face) -> None:
    """The plain queue and the loop differ in nothing that a sync tool sees."""
    assert sync_only.execute("function")["main"] is True
    assert [fact["main"] for fact in sync_only.values("generator")] == [True]


def test_the_worker_does_not_import_the_host(kinds: Face) -> None:
    """A file's module is not called `__main__`, and nothing of the host half is loaded in a worker."""
    assert kinds.execute("nested_modules") == ["snakepit_script_kinds", False]


# Generators nobody declared ------------------------------------------------------------------------------------------


UNDECLARED = ["function_giving_a_generator", "coroutine_giving_a_generator", "coroutine_giving_an_async_generator"]


@pytest.mark.parametrize("tool", UNDECLARED)
def test_an_undeclared_generator_streams(kinds: Face, tool: str) -> None:
    """A tool that returns a generator without saying `supports_streaming` streams through `stream()`."""
    chunks = kinds.stream(tool, {"n": 3})
    assert [chunk.get("i") for chunk in chunks] == [0, 1, 2, None]
    assert [chunk["is_final"] for chunk in chunks] == [False, False, False, True]


@pytest.mark.parametrize("tool", UNDECLARED)
def test_an_undeclared_generator_gives_a_clear_error_through_execute(kinds: Face, tool: str) -> None:
    """`execute()` says that the tool streams and how to read it; the next call is served."""
    with pytest.raises(snakepit.WrongCallStyle, match=f"tool '{tool}' gives a stream of chunks") as caught:
        kinds.execute(tool, {"n": 3})
    assert f"for chunk in pool.stream('{tool}', ...)" in caught.value.hint
    assert kinds.execute("function")["main"]


def test_a_declared_generator_is_refused_before_it_is_sent(kinds: Face) -> None:
    """`execute()` on a generator function raises the same error, and no call is counted."""
    before = kinds.pool.stats().submitted
    with pytest.raises(snakepit.WrongCallStyle, match="tool 'generator' gives a stream of chunks"):
        kinds.execute("generator")
    assert kinds.pool.stats().submitted == before


def test_a_function_that_returns_a_coroutine(kinds: Face) -> None:
    """A `def` that returns a coroutine gets told to be an `async def`."""
    with pytest.raises(snakepit.ToolError, match="returned a coroutine: write it as `async def`"):
        kinds.execute("function_giving_a_coroutine")


def test_one_value_through_stream(kinds: Face) -> None:
    """A tool that streams in name only gives its value as the final chunk; so does one that never claimed to stream."""
    (only,) = kinds.stream("declared_but_one_value")
    assert (only["data"], only["is_final"], only["_metadata"]["synthetic_final"]) == ([1, 2, 3], True, True)
    assert kinds.values("declared_but_one_value") == []
    assert kinds.result_of("declared_but_one_value") == [1, 2, 3]
    (only,) = kinds.stream("function")
    assert (only["main"], only["is_final"]) == (True, True)


# Context and progress belong to the call -----------------------------------------------------------------------------


async def test_context_belongs_to_the_call() -> None:
    """Four calls that overlap on one adapter object each see their own context, before and after they waited for each other."""
    async with snakepit.AsyncPool(adapter("kinds", "Kinds"), size=1) as pool:
        for _ in range(3):
            answers = await asyncio.gather(*(pool.execute("meet", {"name": name, "n": 4}) for name in "abcd"))
            assert [answer["name"] for answer in answers] == list("abcd")
            assert all(answer["same"] and answer["tool"] == "meet" for answer in answers)
            assert len({answer["call_id"] for answer in answers}) == 4
            await pool.execute("part")


async def test_progress_belongs_to_the_call() -> None:
    """Of four unary calls that overlap, each caller hears the reports of its own call alone, the last one included."""
    heard: dict[str, list[str]] = {name: [] for name in "abcd"}

    async with snakepit.AsyncPool(adapter("kinds", "Kinds"), size=1) as pool:
        calls = [pool.execute("meet", {"name": name, "n": 4}, on_progress=heard[name].append) for name in "abcd"]
        await asyncio.gather(*calls)
    for name, reports in heard.items():
        assert {report["name"] for report in reports} == {name}
        assert reports[-1]["percent"] == 100.0


async def test_progress_in_streams_that_overlap() -> None:
    """Of four streams that overlap, each carries its own reports and chunks in order, and none of the others'."""

    async def read(pool: snakepit.AsyncPool, name: str) -> list[dict]:
        return [chunk async for chunk in pool.stream("meet_stream", {"name": name, "n": 4})]

    async with snakepit.AsyncPool(adapter("kinds", "Kinds"), size=1) as pool:
        streams = await asyncio.gather(*(read(pool, name) for name in "abcd"))
    assert len({chunk["call_id"] for chunks in streams for chunk in chunks if "call_id" in chunk}) == 4
    for name, chunks in zip("abcd", streams, strict=True):
        assert {chunk["name"] for chunk in chunks[:-1]} == {name}
        assert [chunk["progress"] for chunk in chunks if "progress" in chunk] == [0, 1, 2]
        assert [chunk["i"] for chunk in chunks if "i" in chunk] == [0, 1, 2]


def test_concurrency_of_the_sync_face() -> None:
    """Futures of the sync face overlap on one worker as the adapter's `concurrency` says."""
    with snakepit.Pool(adapter("kinds", "Kinds"), size=1) as pool:
        futures = [pool.submit("meet", {"name": name, "n": 4}) for name in "abcd"]
        assert [future.result(20)["name"] for future in futures] == list("abcd")


def test_sync_calls_of_a_concurrent_adapter_run_one_at_a_time(kinds: Face) -> None:
    """A sync tool of an adapter with `concurrency = 4` has the main thread for itself; all calls are answered."""
    assert len([kinds.execute("function")["pid"] for _ in range(8)]) == 8


def test_a_thread_must_be_handed_the_context(kinds: Face) -> None:
    """`asyncio.to_thread` carries the context; a bare thread is told how to get it."""
    known, told = kinds.execute("in_a_thread")
    assert known == "in_a_thread"
    assert "no call is running here" in told
    assert "must be handed `self.context`" in told


def test_a_plain_function_reports_and_knows_its_call() -> None:
    """`progress` and `current_call` work in tools that are plain functions."""
    heard: list[dict] = []
    with snakepit.Pool(adapter("kinds", "function_reports"), size=1) as pool:
        assert pool.execute("function_reports", {"n": 3}, on_progress=heard.append) == "function_reports"
    assert heard[-1] == {"progress": 3, "total": 3, "percent": 100.0}


# What lives between calls --------------------------------------------------------------------------------------------


def test_background_tasks_live_between_calls(kinds: Face) -> None:
    """A task that one call started is still running in the same loop when the next one comes."""
    kinds.execute("start_background")
    assert kinds.execute("ask_background", timeout=10) is True
    with contextlib.suppress(snakepit.ToolError):
        kinds.execute("function_giving_a_coroutine")
    assert kinds.execute("ask_background", timeout=10) is True
