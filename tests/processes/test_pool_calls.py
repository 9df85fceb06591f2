"""What one calls on a `Pool`: execute, stream, submit, tools, bind, stats, workers, tool_specs, and what they check first."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import inspect
import os
import pathlib
import pickle
import pydoc
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import snakepit
from pool_helpers import TOOLS, Marks, all_ready, is_alive
from pool_tools import PoolTools

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_leaves_nothing")]


@pytest.fixture(scope="module")
def pool() -> Iterator[snakepit.Pool]:
    """One pool for the tests that leave it as it was."""
    with snakepit.Pool(TOOLS, size=2) as pool:
        all_ready(pool)
        yield pool


# execute -------------------------------------------------------------------------------------------------------------


def test_execute(pool: snakepit.Pool) -> None:
    """The tool's result, from a process that is not this one."""
    assert pool.execute("add", {"a": 2, "b": 3}) == 5
    assert pool.execute("add", {"a": 2}) == 3
    assert pool.execute("pid") not in (os.getpid(), 0)
    assert pool.execute("pid", None) in {handle.info().pid for handle in pool.workers()}


def test_execute_has_thirty_seconds(pool: snakepit.Pool) -> None:
    """The deadline is 30 s unless given, travels with the call, and is counted from the submission."""
    assert 29.0 < pool.execute("remaining") <= 30.0
    assert 4.0 < pool.execute("remaining", timeout=5) <= 5.0


def test_no_deadline(pool: snakepit.Pool) -> None:
    """`timeout=None`: the tool sees no deadline."""
    assert pool.execute("remaining", timeout=None) is None
    assert pool.submit("remaining", timeout=None).result() is None


def test_a_tools_error(pool: snakepit.Pool) -> None:
    """What a tool raises is a ToolError with its type, message and worker's traceback, which ends with the user's own line."""
    with pytest.raises(snakepit.ToolError, match="tool 'fail' raised ValueError: no luck") as caught:
        pool.execute("fail")
    error = caught.value
    assert (error.type, error.code, error.chunk) == ("ValueError", "tool_error", None)
    assert "raise ValueError(message)" in str(error.__cause__)
    assert "_runtime" not in str(error.__cause__)


def test_progress_of_a_unary_tool(pool: snakepit.Pool) -> None:
    """`on_progress` gets reports in this thread, the last of them the newest, before the result is returned."""
    seen: list[dict[str, Any]] = []
    assert pool.execute("steps", {"total": 500}, on_progress=seen.append) == "done"
    assert seen[-1] == {"progress": 500, "total": 500, "percent": 100.0}
    done = [report["progress"] for report in seen]
    assert done == sorted(set(done))


# stream --------------------------------------------------------------------------------------------------------------


def test_stream(pool: snakepit.Pool) -> None:
    """Chunks are dicts in order; exactly the last is final; the tool's return value is the stream's result."""
    stream = pool.stream("count", {"n": 3})
    assert stream.result is None
    *chunks, last = stream
    assert chunks == [{"n": number, "is_final": False} for number in range(3)]
    assert last["is_final"] is True
    assert last["_metadata"]["synthetic_final"] is True
    assert stream.result == "counted"


def test_stream_values(pool: snakepit.Pool) -> None:
    """`values()` gives what the tool yielded, and nothing else."""
    assert list(pool.stream("count", {"n": 2000}).values()) == [{"n": number} for number in range(2000)]
    assert list(pool.stream("count", {"n": 0}).values()) == []


def test_stream_is_read_once(pool: snakepit.Pool) -> None:
    """After its end, or after it was left, a stream gives nothing more."""
    stream = pool.stream("count", {"n": 2})
    assert len(list(stream)) == 3
    assert list(stream) == []
    left = pool.stream("count", {"n": 2000})
    for _ in left:
        break
    assert list(left) == []
    with pytest.raises(StopIteration):
        next(left)


def test_next_reads_one_chunk(pool: snakepit.Pool) -> None:
    """`next(stream)` takes one chunk at a time and leaves the stream open."""
    with pool.stream("count", {"n": 3000}) as stream:
        assert [next(stream)["n"] for _ in range(2500)] == list(range(2500))


def test_stream_has_three_hundred_seconds() -> None:
    """The deadline of a stream is the pool's `stream_timeout`, unless the call gives its own; None means none."""
    with snakepit.Pool(TOOLS, size=1, stream_timeout=0.1) as pool:
        with pytest.raises(snakepit.WorkerTimeout, match=r"did not end within 0.1 s"):
            list(pool.stream("endless"))
        with pool.stream("endless", timeout=None) as stream:
            assert [next(stream)["data"] for _ in range(3)] == [0, 1, 2]
    assert inspect.signature(snakepit.Pool.stream).parameters["timeout"].default.__repr__() == "300.0"


def test_a_stream_that_ends_badly_after_some_chunks(pool: snakepit.Pool) -> None:
    """Chunks that were given before the end are delivered, then the error."""
    got = []
    with pytest.raises(snakepit.WorkerTimeout) as caught:
        for chunk in pool.stream("gap", {"folder": "/nowhere", "before": 3, "after": 0}, timeout=0.5):
            got.append(chunk["data"])  # noqa: PERF401
    assert got == [0, 1, 2]
    assert caught.value.details["tool"] == "gap"


# submit --------------------------------------------------------------------------------------------------------------


def test_submit(pool: snakepit.Pool) -> None:
    """`submit` gives a concurrent.futures.Future that works with the module's functions."""
    futures = [pool.submit("add", {"a": number}) for number in range(20)]
    assert all(isinstance(future, concurrent.futures.Future) for future in futures)
    done, rest = concurrent.futures.wait(futures, timeout=20)
    assert (len(done), len(rest)) == (20, 0)
    assert [future.result() for future in futures] == list(range(1, 21))


def test_submit_tells_errors_through_the_future(pool: snakepit.Pool) -> None:
    """What the tool raises comes out of `result()`; what is wrong with the call is raised at once."""
    assert isinstance(pool.submit("fail").exception(), snakepit.ToolError)
    with pytest.raises(snakepit.UnknownTool):
        pool.submit("ad", {"a": 1})
    with pytest.raises(snakepit.InvalidParameter):
        pool.submit("add", {"a": "one"})


def test_options_of_other_calls(pool: snakepit.Pool) -> None:
    """An option that only another kind of call has is refused with what has it, not with its own name as the one that was meant."""
    for option in ("on_progress", "on_metadata"):
        with pytest.raises(
            TypeError, match=rf"submit\(\) and map\(\) have no option '{option}'; execute\(\) has it: call that in a thread"
        ):
            pool.submit("add", {"a": 1}, **{option: print})  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=rf"stream\(\) has no option '{option}'; a stream's"):
            pool.stream("count", {"n": 1}, **{option: print})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"execute\(\), submit\(\) and map\(\) have no option 'chunk_timeout'"):
        pool.submit("add", {"a": 1}, chunk_timeout=1.0)  # type: ignore[call-arg]


# tools and bind ------------------------------------------------------------------------------------------------------


def test_tools_are_functions(pool: snakepit.Pool) -> None:
    """Discovered tools take arguments, give what they return or yield, and look like the functions they are."""
    assert pool.tools.add(2, b=3) == 5
    assert pool.tools["add"](2) == 3
    assert list(pool.tools.count(2, start=5)) == [{"n": 5}, {"n": 6}]
    assert str(inspect.signature(pool.tools.add)) == "(a: int, b: int = 1)"
    assert repr(pool.tools.add) == "<tool add(a: int, b: int = 1)>"
    assert pool.tools.secrets_seen.__doc__.startswith("Where the host's secret")
    assert {"add", "count", "echo"} <= set(dir(pool.tools))


def test_options_do_not_clash_with_parameters(pool: snakepit.Pool) -> None:
    """Options go through `options`, so a tool may have a parameter named timeout."""
    assert pool.tools.timeout.options(timeout=5)(timeout=0.25) == 0.25
    assert 4.0 < pool.tools.remaining.options(timeout=5)() <= 5.0
    with pytest.raises(snakepit.WorkerTimeout):
        pool.tools.hold.options(timeout=0.1)(folder="/tmp")
    with pytest.raises(TypeError, match="speed"):
        pool.tools.add.options(speed=5)(1)


def test_an_unknown_tool_as_attribute(pool: snakepit.Pool) -> None:
    """A misspelt attribute is an UnknownTool that names near ones."""
    with pytest.raises(snakepit.UnknownTool, match="'ad'.*\n.*did you mean 'add'"):
        pool.tools.ad(1)


def test_an_unknown_tool_as_attribute_is_an_attribute_error_too(pool: snakepit.Pool) -> None:
    """So `hasattr` and `getattr` with a default say no; it can be pickled; names that begin with `_` are plain AttributeErrors."""
    assert not hasattr(pool.tools, "nix")
    assert getattr(pool.tools, "nix", None) is None
    with pytest.raises(AttributeError) as caught:
        pool.tools.nix  # noqa: B018
    assert isinstance(caught.value, snakepit.UnknownTool)
    assert caught.value.code == "unknown_tool"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    with pytest.raises(AttributeError) as caught:
        pool.tools._repr_html_  # noqa: B018
    assert not isinstance(caught.value, snakepit.SnakepitError)


def test_tools_are_a_collection_of_names(pool: snakepit.Pool) -> None:
    """`in`, `len`, iteration and `dir` agree with `tool_specs()`, on the pool and on its sessions."""
    names = [spec.name for spec in pool.tool_specs()]
    for tools in (pool.tools, pool.session().tools):
        assert list(tools) == names
        assert len(tools) == len(names)
        assert "add" in tools
        assert "nix" not in tools
        assert dir(tools) == sorted(names)


def test_looking_at_tools_does_not_start_a_pool() -> None:
    """What notebooks and debuggers do to every object: `repr`, `dir`, truth, names that begin with `_`."""
    pool = snakepit.Pool(TOOLS)
    assert repr(pool.tools) == "<tools: the pool has not been started>"
    assert dir(pool.tools) == []
    assert pool.tools
    assert not hasattr(pool.tools, "_ipython_display_")
    assert pool.workers() == ()


def test_every_tool_has_help(pool: snakepit.Pool) -> None:
    """Without docstring and description it shows the signature, not how tools are made."""
    assert "add(a: int, b: int = 1)" in pydoc.plain(pydoc.render_doc(pool.tools.add))


def test_bind(pool: snakepit.Pool) -> None:
    """`bind` gives the same functions, typed as the adapter."""
    calls = pool.bind(PoolTools)
    assert calls.add(2, 3) == 5
    assert list(calls.count(1)) == [{"n": 0}]


# stats, workers, tool_specs ------------------------------------------------------------------------------------------


def test_stats_count_each_call_once(tmp_path: pathlib.Path) -> None:
    """Every call is counted in exactly one of succeeded, failed, cancelled, timed_out and crashed; the picture is frozen."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        assert dataclasses.asdict(pool.stats()) | {"size": 1, "workers_ready": 1, "protocol": "grpc"} == dataclasses.asdict(pool.stats())
        pool.execute("add", {"a": 1})
        list(pool.stream("count", {"n": 10}))
        with pytest.raises(snakepit.ToolError):
            pool.execute("fail")
        with pytest.raises(snakepit.WorkerTimeout):
            pool.execute("hold", {"folder": str(tmp_path)}, timeout=0.05)
        next(iter(pool.stream("endless")))
        with pytest.raises(snakepit.WorkerCrashed):
            pool.execute("die")
        with pytest.raises(snakepit.SerializationError):  # before it was a call, as any argument that does not fit
            pool.execute("echo", {"value": object()})
        stats = pool.stats()
        counted = {name: getattr(stats, name) for name in ("succeeded", "failed", "cancelled", "timed_out", "crashed")}
        assert counted == {"succeeded": 2, "failed": 1, "cancelled": 1, "timed_out": 1, "crashed": 1}
        assert stats.submitted == 6
        assert stats.chunks >= 10
        assert (stats.queued, stats.running) == (0, 0)
        with pytest.raises(dataclasses.FrozenInstanceError):
            stats.size = 5  # type: ignore[misc]


def test_stats_of_a_pool_that_has_not_started() -> None:
    """Before the start all figures are 0, there are no workers, and the size is known."""
    pool = snakepit.Pool(TOOLS, size=3)
    assert (pool.stats().size, pool.stats().submitted, pool.workers()) == (3, 0, ())
    assert repr(pool) == "<Pool of 3, not started>"


def test_queued_and_running(tmp_path: pathlib.Path) -> None:
    """`stats()` shows how many calls run and wait; `info()` how many a worker runs."""
    marks = Marks(tmp_path)
    with snakepit.Pool(TOOLS, size=1) as pool:
        held = pool.submit("until", {"folder": marks.text, "name": "go"})
        marks.wait("started")
        waiting = [pool.submit("add", {"a": number}) for number in range(3)]
        _stats_with(pool, queued=3)
        waiting[-1].cancel()
        _stats_with(pool, queued=2)
        waiting.append(pool.submit("add", {"a": 3}))
        (handle,) = pool.workers()
        stats = _stats_with(pool, queued=3)
        assert (stats.running, stats.queued, handle.info().running) == (1, 3, 1)
        marks.say("go")
        assert held.result() == "go"
        assert [future.result() for future in (waiting[0], waiting[1], waiting[3])] == [1, 2, 4]


def test_workers(pool: snakepit.Pool) -> None:
    """A handle's id and `info()` are those of a live process of this interpreter."""
    for number, handle in enumerate(pool.workers(), 1):
        info = handle.info()
        assert handle.id == info.id == f"worker-{number}"
        assert (info.state, info.protocol) == ("ready", "grpc")
        assert is_alive(info.pid)
        assert info.uptime > 0
        assert info.python.startswith("3.")
        assert repr(handle) == f"<WorkerHandle {handle.id} pid={info.pid} ready>"
        with pytest.raises(dataclasses.FrozenInstanceError):
            info.pid = 0  # type: ignore[misc]


def test_tool_specs(pool: snakepit.Pool) -> None:
    """The specs are a tuple of frozen values that say what each tool takes and gives."""
    specs = pool.tool_specs()
    assert isinstance(specs, tuple)
    by_name = {spec.name: spec for spec in specs}
    add, count = by_name["add"], by_name["count"]
    assert (add.streaming, count.streaming, add.asynchronous) == (False, True, False)
    assert [(item.name, item.required, item.schema) for item in add.parameters] == [
        ("a", True, {"type": "integer"}),
        ("b", False, {"type": "integer"}),
    ]
    assert add.parameters[1].default == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        add.name = "sub"  # type: ignore[misc]


def test_tool_specs_start_the_pool() -> None:
    """Asking for the tools, or for one of them by attribute, starts a pool that has not been started."""
    pool = snakepit.Pool(TOOLS, size=1)
    assert "add" in {spec.name for spec in pool.tool_specs()}
    pool.close()
    pool = snakepit.Pool(TOOLS, size=1)
    assert pool.tools.add(1) == 2
    pool.close()


# What is checked before anything is sent ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tool", "args", "kind", "words"),
    [
        ("ad", {}, snakepit.UnknownTool, "did you mean 'add'"),
        (5, {}, snakepit.UnknownTool, "named by text, not by int"),
        ("add", {}, snakepit.InvalidParameter, "'a'"),
        ("add", {"a": 1, "c": 2}, snakepit.InvalidParameter, "'c'"),
        ("add", {"a": "1"}, snakepit.InvalidParameter, "a.*int"),
        ("add", {"a": 1.5}, snakepit.InvalidParameter, "a.*int"),
        ("add", {"a": None}, snakepit.InvalidParameter, "a.*int"),
        ("add", [1], snakepit.InvalidParameter, "list"),
        ("echo", {5: 1}, snakepit.InvalidParameter, "5"),
        ("count", {"n": 3}, snakepit.WrongCallStyle, "pool.stream"),
    ],
    ids=str,
)
def test_a_wrong_call_reaches_no_worker(pool: snakepit.Pool, tool: Any, args: Any, kind: type[Exception], words: str) -> None:
    """Unknown tools, arguments that do not fit and the wrong style are errors before anything is sent."""
    before = pool.stats().submitted
    with pytest.raises(kind, match=f"(?s){words}"):
        pool.execute(tool, args)
    assert pool.stats().submitted == before


@pytest.mark.parametrize("seconds", [0, -1, 0.0, float("nan"), float("inf"), "5", True])
def test_wrong_times(pool: snakepit.Pool, seconds: Any) -> None:
    """A timeout that is no number of seconds above 0 is an error that names it."""
    for call in (pool.execute, pool.stream, pool.submit):
        with pytest.raises(snakepit.InvalidParameter, match="timeout is .*seconds above 0, or None"):
            call("add", {"a": 1}, timeout=seconds)
    with pytest.raises(snakepit.InvalidParameter, match="chunk_timeout is "):
        pool.stream("count", {"n": 1}, chunk_timeout=seconds)


def test_callbacks_must_be_callable(pool: snakepit.Pool) -> None:
    """A callback that cannot be called is an error before the call."""
    with pytest.raises(snakepit.InvalidParameter, match="on_progress is 5"):
        pool.execute("add", {"a": 1}, on_progress=5)  # type: ignore[arg-type]


def test_arguments_that_cannot_travel(pool: snakepit.Pool) -> None:
    """An argument that no codec carries is named with its type and place; the slot is free again at once."""
    with pytest.raises(snakepit.SerializationError, match=r"args\['value'\]\['deep'\]\[1\] is a object"):
        pool.execute("echo", {"value": {"deep": [1, object()]}})
    assert pool.execute("add", {"a": 1}) == 2


# Argument habits, end to end -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "seen"),
    [
        ({}, "(None, 1.0, [], {}, None)"),
        ({"path": None}, "(None, 1.0, [], {}, None)"),
        ({"path": "p"}, "('p', 1.0, [], {}, None)"),
        ({"ratio": 3}, "(None, 3, [], {}, None)"),
        ({"ratio": np.float32(0.5)}, "(None, 0.5, [], {}, None)"),
        ({"ratio": np.int64(7)}, "(None, 7, [], {}, None)"),
        ({"items": (1, "a")}, "(None, 1.0, [1, 'a'], {}, None)"),
        ({"items": np.arange(3)}, "(None, 1.0, [0, 1, 2], {}, None)"),
        ({"table": {"x": 1}}, "(None, 1.0, [], {'x': 1}, None)"),
        ({"anything": [b"bytes", True, 2.5]}, "(None, 1.0, [], {}, [b'bytes', True, 2.5])"),
    ],
    ids=str,
)
def test_argument_habits(pool: snakepit.Pool, args: dict[str, Any], seen: str) -> None:
    """`x: str = None` takes None, an int passes for a float, NumPy scalars for numbers; bare list, dict and no annotation work."""
    assert pool.execute("kinds", args) == seen


@pytest.mark.parametrize("number", [2**64, -(10**30), 10**6000 + 7], ids=["65 bits", "negative", "6000 digits"])
def test_integers_of_any_size(pool: snakepit.Pool, number: int) -> None:
    """As arguments, results and keys, nested too, and as an integer that is annotated as one."""
    value = {"n": number, "deep": [{number: (number,)}]}
    assert pool.execute("echo", {"value": value}) == value
    assert pool.execute("add", {"a": number, "b": 1}) == number + 1


def test_star_arguments(pool: snakepit.Pool) -> None:
    """Positional-only parameters, `*args` and `**kwargs` work by name and by position."""
    assert pool.execute("spread", {"first": 1}) == [1, [], False, {}]
    assert pool.execute("spread", {"first": 1, "rest": [2, 3], "flag": True, "more": 4}) == [1, [2, 3], True, {"more": 4}]
    assert pool.tools.spread(1, 2, 3, flag=True, more=4) == [1, [2, 3], True, {"more": 4}]
    with pytest.raises(snakepit.InvalidParameter):
        pool.tools.spread(1, "two")


# What workers are started with -----------------------------------------------------------------------------------------


def test_env_cwd_and_output(tmp_path: pathlib.Path) -> None:
    """`env` and `cwd` are the worker's; what it prints reaches `worker_output` line by line under its id."""
    lines: list[tuple[str, str, str]] = []
    settings: dict[str, Any] = {"env": {"POOL_TEST": "here"}, "cwd": tmp_path, "worker_output": lambda *line: lines.append(line)}
    with snakepit.Pool(TOOLS, size=1, **settings) as pool:
        seen = pool.execute("settings_seen", {"variable": "POOL_TEST"})
        assert (seen["cwd"], seen["variable"]) == (str(tmp_path), "here")
        pool.execute("say", {"text": "one\ntwo", "error": "three"})
    assert ("worker-1", "stdout", "one") in lines
    assert ("worker-1", "stdout", "two") in lines
    assert ("worker-1", "stderr", "three") in lines


def _stats_with(pool: snakepit.Pool, *, queued: int) -> snakepit.PoolStats:
    while (stats := pool.stats()).queued != queued:
        time.sleep(0.001)
    return stats
