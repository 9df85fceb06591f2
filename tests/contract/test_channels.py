"""One contract for every protocol and every interpreter: the same calls, the same values and types, the same ends.

The table `CASES` is run over each way in which a channel can be carried, and on each CPython that this machine has. No case
knows which of them it runs on.
"""

from __future__ import annotations

import os
import pathlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import snakepit
from channel_values import VALUES, same
from contract_tools import Point
from interpreters import WANTED, WAYS, Way, bare_environment, interpreters
from snakepit.testing import kill

pytestmark = pytest.mark.slow

Case = Callable[[snakepit.Pool, pathlib.Path], None]
CASES: list[Case] = []


def case(function: Case) -> Case:
    """Add a case to the table."""
    CASES.append(function)
    return function


def wait_for(path: pathlib.Path, seconds: float = 10.0) -> None:
    """Wait until a tool has made a file."""
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} did not come within {seconds:g} s"
        time.sleep(0.002)


# Unary ------------------------------------------------------------------------------------------------------------------------


@case
def values_come_back_as_they_went(pool: snakepit.Pool, folder: pathlib.Path) -> None:
    """Equal and of the same type, alone, in a list, in a dict, and as chunks."""
    for value in VALUES:
        assert same(pool.execute("echo", {"value": value}), value), repr(value)[:80]
    assert same(pool.execute("echo", {"value": VALUES}), VALUES)
    assert same(list(pool.stream("yields", {"values": VALUES}).values()), VALUES)


@case
def the_tool_sees_what_was_sent(pool: snakepit.Pool, folder: pathlib.Path) -> None:
    """Types and values arrive in the tool as they are there, not as the protocol would like them."""
    for value in (None, True, 1, 1.0, -0.0, 2**70, "é\x00😀", b"\xff\x00", [1, [2]], {"a": {1: 2}}, float("inf")):
        assert pool.execute("kind", {"value": value}) == [type(value).__name__, repr(value)]


@case
def tiny_and_huge(pool: snakepit.Pool, folder: pathlib.Path) -> None:
    """From nothing to tens of megabytes, there and back, bytes and text."""
    for value in (b"", "", b"x", b"\x00\xff" * 12_000_000, "wörld" * 1_000_000, [b"x" * 300_000] * 20):
        assert pool.execute("echo", {"value": value}) == value


@case
def many_at_once(pool: snakepit.Pool, folder: pathlib.Path) -> None:
    """Each of five hundred calls gets its own answer."""
    futures = [pool.submit("add", {"a": number}) for number in range(500)]
    assert [future.result(60) for future in futures] == list(range(2, 502))


@case
def callers_in_threads(pool: snakepit.Pool, folder: pathlib.Path) -> None:
    """So does each of several threads."""
    found: dict[int, list[int]] = {}

    def call(start: int) -> None:
        found[start] = [pool.execute("add", {"a": start + number, "b": 0}) for number in range(30)]

    threads = [threading.Thread(target=call, args=(1000 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == {1000 * number: [1000 * number + place for place in range(30)] for number in range(4)}


@case
def binary_parameters(pool: snakepit.Pool, folder: pathlib.Path) -> None:
    """Bytes beside the other arguments, untouched."""
    data = bytes(range(256)) * 5_000
    assert pool.execute("blob", {"label": "é"}, binary_parameters={"blob": data}) == ["bytes", len(data), sum(data), "é"]
    assert pool.execute("blob", binary_parameters={"blob": memoryview(b"")}) == ["bytes", 0, 0, ""]


@case
def progress(pool: snakepit.Pool, folder: pathlib.Path) -> None:
    """Reports arrive while the call runs, the newest at the latest, in order."""
    reports: list[dict[str, Any]] = []
    assert pool.execute("steps", {"total": 5}, on_progress=reports.append) == 5
    done = [report["progress"] for report in reports]
    assert done
    assert done == sorted(set(done))
    assert same(reports[-1], {"progress": 5, "total": 5, "percent": 100.0, "message": "step 5"})


# Streams ----------------------------------------------------------------------------------------------------------------------


@case
def a_long_stream(pool: snakepit.Pool, folder: pathlib.Path) -> None:
    """Every chunk once, in order; one final chunk at the end, which says how many there were."""
    *chunks, last = pool.stream("count", {"n": 20_000})
    assert [chunk["n"] for chunk in chunks] == list(range(20_000))
    assert not any(chunk["is_final"] for chunk in chunks)
    assert last["is_final"] is True
    assert last["_metadata"]["chunks"] == 20_001
    assert last["_metadata"]["synthetic_final"] is True


@case
def streams_end_as_the_tool_ends_them(pool: snakepit.Pool, folder: pathlib.Path) -> None:
    """An own final chunk, a result, nothing at all, metadata of chunks."""
    assert [(chunk["n"], chunk["is_final"]) for chunk in pool.stream("own_final")] == [(0, False), (1, True)]
    stream = pool.stream("yields", {"values": [1, None, {"a": 2}], "result": {"model": b"\x01"}})
    assert same(list(stream.values()), [1, None, {"a": 2}])
    assert same(stream.result, {"model": b"\x01"})
    assert list(pool.stream("count", {"n": 0}).values()) == []
    told = [(chunk["n"], chunk["_metadata"]["source"], chunk["is_final"]) for chunk in pool.stream("with_metadata")]
    assert told == [(0, "here", False), (1, "there", True)]


@case
def large_chunks(pool: snakepit.Pool, folder: pathlib.Path) -> None:
    """Chunks larger than a piece, and than the whole window, pass one by one."""
    for n, size in ((30, 400_000), (3, 6_000_000)):
        sizes = [len(value["pad"]) for value in pool.stream("count", {"n": n, "size": size}).values()]
        assert sizes == [size] * n


@case
def a_slow_reader_holds_the_tool_back(pool: snakepit.Pool, folder: pathlib.Path) -> None:
    """The tool is never further ahead than the window, in chunks and in bytes; and goes on when the reader does."""
    for size, at_most in ((1, pool._config.window_chunks), (100_000, pool._config.window_bytes // 100_000 + 1)):
        path, n = folder / f"ahead-{size}", 3 * at_most
        stream = pool.stream("ahead", {"path": str(path), "n": n, "size": size})
        wait_for(path)
        time.sleep(0.3)  # for the tool to run as far ahead as it can
        assert int(path.read_text()) <= at_most + 1  # one more is made, and waits for its place
        assert [chunk["n"] for chunk in stream if not chunk["is_final"]] == list(range(n))


@case
def streams_beside_each_other(pool: snakepit.Pool, folder: pathlib.Path) -> None:
    """A reader that has stopped does not hold up another call of another worker, nor one that waits for its turn."""
    stopped = pool.stream("endless", {"folder": str(folder)})
    next(stopped)
    assert pool.execute("add", {"a": 1}, timeout=20) == 3
    assert len(list(pool.stream("count", {"n": 3_000}))) == 3_001
    stopped.close()
    wait_for(folder / "left")


# Ends -------------------------------------------------------------------------------------------------------------------------


@case
def leaving_a_stream_ends_its_tool(pool: snakepit.Pool, folder: pathlib.Path) -> None:
    """The tool's `finally` runs, and the worker serves on."""
    before = served_by(pool)
    for chunk in pool.stream("endless", {"folder": str(folder)}):
        if chunk["n"] == 3:
            break
    wait_for(folder / "left")
    assert served_by(pool) == before


@case
def a_cancelled_call_is_interrupted(pool: snakepit.Pool, folder: pathlib.Path) -> None:
    """A future's cancel reaches a tool that works, and the worker serves on."""
    before = served_by(pool)
    future = pool.submit("work", {"folder": str(folder)})
    wait_for(folder / "started")
    assert future.cancel()
    wait_for(folder / "left")
    assert served_by(pool) == before


@case
def a_deadline_ends_a_call(pool: snakepit.Pool, folder: pathlib.Path) -> None:
    """Its caller has the error in time, the tool is interrupted, and the worker serves on."""
    before = served_by(pool)
    with pytest.raises(snakepit.WorkerTimeout, match=r"'work' did not end within 0.3 s"):
        pool.execute("work", {"folder": str(folder)}, timeout=0.3)
    wait_for(folder / "left")
    with pytest.raises(snakepit.ChunkTimeout):
        list(pool.stream("endless", {"folder": str(folder)}, chunk_timeout=0.000_001))
    assert served_by(pool) == before


@case
def a_tools_error(pool: snakepit.Pool, folder: pathlib.Path) -> None:
    """Its type, its text, its traceback, and the number of the chunk."""
    with pytest.raises(snakepit.ToolError, match="ValueError: no sûch thing") as caught:
        pool.execute("fail", {"message": "no sûch thing"})
    assert caught.value.code == "tool_error"
    assert "raise ValueError(message)" in str(caught.value.__cause__)
    stream = pool.stream("fail_later", {"after": 3})
    seen = []
    with pytest.raises(snakepit.ToolError, match="KeyError") as late:
        seen.extend(chunk["n"] for chunk in stream)
    assert seen == [0, 1, 2]
    assert (late.value.chunk, late.value.type) == (3, "KeyError")


@case
def what_cannot_travel_is_named(pool: snakepit.Pool, folder: pathlib.Path) -> None:
    """A marker in a result; the path to it in an argument, and where a marker cannot stand. A lone surrogate is no text."""
    assert pool.execute("unsendable") == {"deep": [1, {2: {"__ffi_unserializable__": True, "__type__": "builtins.object"}}]}
    with pytest.raises(snakepit.SerializationError, match=r"'value'.*\['x'\]\[1\].*lone surrogate"):
        pool.execute("echo", {"value": {"x": ["fine", "\ud800"]}})
    with pytest.raises(
        snakepit.SerializationError, match=r"\['deep'\]\[0\] key \(Point\(x=1\),\) is a tuple: as a key it would arrive as a dict"
    ):
        pool.execute("unkeyable")
    with pytest.raises(snakepit.SerializationError, match=r"'value'.*key Point\(x=1\) is a "):
        pool.execute("echo", {"value": {Point(1): 1}})
    assert pool.execute("nested", {"levels": 95})
    for levels in (110, 340, 400, 480):  # what a newer Python writes, and an older one does not read
        with pytest.raises(snakepit.SerializationError, match="nested too deeply"):
            pool.execute("nested", {"levels": levels})
    assert pool.execute("add", {"a": 1}) == 3


@case
def wrong_calls_are_refused(pool: snakepit.Pool, folder: pathlib.Path) -> None:
    """Before anything is sent, by name."""
    with pytest.raises(snakepit.UnknownTool, match="did you mean 'echo'"):
        pool.execute("ecko")
    with pytest.raises(snakepit.InvalidParameter, match="'c'"):
        pool.execute("add", {"a": 1, "c": 2})
    with pytest.raises(snakepit.WrongCallStyle):
        pool.execute("count", {"n": 1})


# Sessions and host tools --------------------------------------------------------------------------------------------------------


@case
def sessions(pool: snakepit.Pool, folder: pathlib.Path) -> None:
    """State stays with its session, and ends with it."""
    name = folder.name
    with pool.session(f"{name}-a", metadata={"user": "ann", "data": b"\x00"}, affinity="strict_queue") as one:
        other = pool.session(f"{name}-b", affinity="strict_queue")
        assert same(one.execute("remember", {"value": 1}), [one.id, {"user": "ann", "data": b"\x00"}, [1]])
        assert same(other.execute("remember", {"value": 2**70}), [other.id, {}, [2**70]])
        assert one.execute("remember", {"value": 3})[2] == [1, 3]
        assert [chunk["n"] for chunk in one.stream("count", {"n": 2}) if not chunk["is_final"]] == [0, 1]
        other.end()
    again = pool.session(f"{name}-a")
    assert again.execute("remember", {"value": 4})[1:] == [{}, [4]]
    again.end()


@case
def host_tools(pool: snakepit.Pool, folder: pathlib.Path) -> None:
    """A tool calls functions of the application, streams too; errors come back with both tracebacks."""
    registered = [pool.register_tool(lambda *values: list(values), name="listed"), pool.register_tool(_rows, name="rows")]
    pool.register_tool(_broken, name="broken")
    try:
        assert same(pool.execute("ask", {"name": "listed", "args": [1, b"\x00", 2**70, None]}), [1, b"\x00", 2**70, None])
        assert [value["item"] for value in pool.stream("ask_stream", {"name": "rows", "args": [2_000]}).values()] == list(range(2_000))
        with pytest.raises(snakepit.ToolError, match="LookupError.*not there") as caught:
            pool.execute("ask", {"name": "broken", "args": []})
        assert "_broken" in str(caught.value.__cause__)
        assert "self.host_tools[name]" in str(caught.value.__cause__)
        with pytest.raises(snakepit.ToolError, match="offers no tool named 'nothing'"):
            pool.execute("ask", {"name": "nothing", "args": []})
    finally:
        assert len(registered) == 2
        for name in ("listed", "rows", "broken"):
            assert pool.unregister_tool(name)


def _rows(count: int) -> Iterator[int]:
    yield from range(count)


def _broken() -> None:
    raise LookupError("not there")


def served_by(pool: snakepit.Pool) -> set[str]:
    """The workers there are."""
    return {handle.id for handle in pool.workers()}


# Running the table --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=WAYS, ids=str)
def way(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Way:
    """A protocol, on an interpreter."""
    way: Way = request.param
    return way.ready(tmp_path_factory)


#: Workers whose main thread waits on a queue, and those whose lives in a loop; the latter not on every interpreter, to save minutes.
KINDS = [(way, kind) for way in WAYS for kind in ("Contract", "AsyncContract") if kind == "Contract" or not way.is_between]


@pytest.fixture(scope="module", params=KINDS, ids=lambda pair: f"{pair[1]}-{pair[0]}")
def pool(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[snakepit.Pool]:
    """Two workers of one kind."""
    way, kind = request.param
    way = way.ready(tmp_path_factory)
    with way.pool(kind, size=2, window_chunks=64, window_bytes=1_000_000) as pool:
        assert pool.stats().protocol == way.protocol
        assert pool.stats().launcher_reasons == ()
        assert {worker.info().codec for worker in pool.workers() if worker.info().state == "ready"} == {way.codec}
        yield pool
        assert pool.stats().restarts == 0
        assert pool.stats().killed == 0


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_contract(case: Case, pool: snakepit.Pool, tmp_path: pathlib.Path) -> None:
    """One case of the table."""
    case(pool, tmp_path)


def test_a_crash_costs_one_call(way: Way, tmp_path: pathlib.Path) -> None:
    """The running call fails, with its cause; the session that was there is lost; the next worker serves."""
    with way.pool("Contract", size=1) as pool:
        session = pool.session("s", affinity="strict_queue")
        session.execute("remember", {"value": 1})
        future = pool.submit("work", {"folder": str(tmp_path)})
        wait_for(tmp_path / "started")
        kill(pool.workers()[0])
        with pytest.raises(snakepit.WorkerCrashed, match="while it ran 'work'"):
            future.result(10)
        with pytest.raises(snakepit.SessionLost):
            session.execute("remember", {"value": 2})
        assert pool.execute("add", {"a": 1}) == 3
        assert pool.stats().restarts == 1


def test_a_pool_that_closes_lets_calls_end(way: Way, tmp_path: pathlib.Path) -> None:
    """Leaving the block waits for what gives one result, and nothing stays behind."""
    with way.pool("Contract", size=1) as pool:
        future = pool.submit("work", {"folder": str(tmp_path), "seconds": 0.3})
        wait_for(tmp_path / "started")
    assert future.result(0) == "done"
    with pytest.raises(snakepit.PoolClosed):
        pool.execute("add", {"a": 1})


def test_enough_interpreters() -> None:
    """In CI the contract must have met several minor versions, so that a missing one does not go unnoticed."""
    found = {f"{major}.{minor}" for major, minor in interpreters()}
    if os.environ.get("CI"):
        assert len(found) >= WANTED, f"only {sorted(found)}"
    assert found


def test_the_showcase_on_an_empty_python_3_8(tmp_path: pathlib.Path) -> None:
    """An environment without a single package runs the built-in tools, over JSON, and the stats say why not over the others."""
    if (3, 8) not in interpreters():
        pytest.skip("Python 3.8 is not installed")
    folder = tmp_path / "empty"
    python = bare_environment((3, 8), folder)
    assert list(folder.glob("lib/python3.8/site-packages/*")) == []
    with snakepit.Pool(size=1, python=folder) as pool:
        assert pool.execute("compute", {"operation": "add", "a": 5, "b": 3}) == 8
        assert [chunk["message"] for chunk in pool.stream("ping_stream", {"count": 2})] == ["ping 1 of 2", "ping 2 of 2"]
        stats = pool.stats()
        assert stats.protocol == "json"
        assert stats.protocol_reasons == (
            f"protocol 'grpc' needs grpcio, which {python} does not have",
            f"protocol 'msgpack' needs msgspec or msgpack, which {python} does not have",
        )
        assert pool.workers()[0].info().executable == python
    for protocol, package in (("grpc", "grpcio"), ("msgpack", "msgspec")):
        with pytest.raises(snakepit.ProtocolUnavailable, match=f"which {python} does not have") as caught:
            snakepit.Pool(size=1, python=python, protocol=protocol).start()
        assert caught.value.code == f"{protocol}_unavailable"
        assert caught.value.hint == f"{python} -m ensurepip && {python} -m pip install {package}"
    with pytest.raises(snakepit.ProtocolUnavailable, match="no protocol of the chain can be used: .*grpcio.*msgspec"):
        snakepit.Pool(size=1, python=python, protocol=["grpc", "msgpack"]).start()
