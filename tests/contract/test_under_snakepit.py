"""Our worker under Snakepit: a stand-in for its host, whose bytes are made by hand, starts it as Snakepit does and runs its day."""

from __future__ import annotations

import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from hand_wire import entries, entry, fields, message, text
from snakepit.cli import compat_scripts
from snakepit_host import SnakepitHost, any_of, request_of

pytestmark = pytest.mark.slow

ADAPTER = ("--adapter", "snakepit_tools.Adapter")


@pytest.fixture
def script(tmp_path: pathlib.Path) -> pathlib.Path:
    """The script that Snakepit starts, as `snakepit compat install` writes it."""
    return compat_scripts.install(tmp_path / "priv" / "python")[0]


@pytest.fixture
def environment(tmp_path: pathlib.Path) -> dict[str, str]:
    """Snakepit's PYTHONPATH: with the user's adapters, and with a snakepit_bridge of its own, which is not to be run."""
    decoy = tmp_path / "decoy" / "snakepit_bridge"
    decoy.mkdir(parents=True)
    (decoy / "__init__.py").write_text("raise SystemExit('the decoy was imported')")
    return {"PYTHONPATH": f"{decoy.parent}:{pathlib.Path(__file__).parent}"}


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Iterator[SnakepitHost]:
    """Snakepit's host."""
    stand_in = SnakepitHost(tmp_path)
    yield stand_in
    stand_in.close()


@pytest.fixture
def worker(host: SnakepitHost, script: pathlib.Path, environment: dict[str, str]) -> SnakepitHost:
    """The host, with its worker started."""
    host.start(script, *ADAPTER, **environment)
    return host


def value_of(answer: bytes) -> tuple[str, Any]:
    """(the kind that a result says it is, its value)."""
    found = fields(answer)
    assert found.get(1) == [1], text(answer, 3)
    url, value = text(found[2][0], 1), fields(found[2][0])[2][0]
    assert url.startswith("type.googleapis.com/snakepit.")
    return url.rpartition(".")[2], json.loads(value)


def error_of(answer: bytes) -> dict[str, Any]:
    """What a failed call says."""
    assert 1 not in fields(answer)
    told: dict[str, Any] = json.loads(text(answer, 3))
    return told


RESULTS: list[tuple[str, tuple[str, Any]]] = [
    ("none", ("string", "None")),
    ("true", ("boolean", True)),
    ("five", ("float", 5.0)),
    ("half", ("float", 0.5)),
    ("huge", ("float", 2**70)),
    ("text", ("string", "grüße")),
    ("tuple", ("list", [1, 2])),
    ("set", ("list", [1, 3])),
    ("array", ("list", [0, 1, 2])),
    (
        "map",
        (
            "map",
            {"a": [1, [2]], "when": "2026-01-02", "odd": {"__ffi_unserializable__": True, "__type__": "builtins.object"}},
        ),
    ),
]


def test_a_day(worker: SnakepitHost) -> None:
    """It is introduced and registered, runs calls and streams, calls host tools, beats, and leaves on SIGTERM."""
    assert value_of(worker.execute("remember", {"value": {"a": [1, None]}})) == ("string", "session_1_2")
    assert value_of(worker.execute("recall", {})) == ("map", {"a": [1, None]})
    methods = [method for method, _ in worker.told]
    assert methods[0] == "Ping"
    assert text(worker.told[0][1], 1) == "connection_test"
    assert methods.count("InitializeSession") == methods.count("RegisterTools") == 1
    registered = next(request for method, request in worker.told if method == "RegisterTools")
    tools = {text(tool, 1): tool for tool in fields(registered)[2]}
    assert text(registered, 1) == "session_1_2"
    assert text(registered, 3)
    assert fields(tools["chunks"])[5] == [1]
    assert 5 not in fields(tools["size"])
    assert [text(item, 1) for item in fields(tools["size"])[3]] == ["data", "factor"]
    for kind, expected in RESULTS:
        assert value_of(worker.execute("give", {"kind": kind})) == expected, kind
    answer = worker.execute("give", {"kind": "bytes"})
    assert fields(answer)[6] == [b"\x00\xff"]
    assert value_of(worker.execute("size", {"factor": 2}, {"data": b"12345"})) == ("float", 10.0)
    assert value_of(worker.execute("instances", {}))[1] > 3.0, "a fresh instance for each call"
    code, seconds = worker.terminate()
    assert (code, seconds < 2) == (0, True), worker.output()
    assert "decoy" not in worker.output()


def test_errors(worker: SnakepitHost) -> None:
    """They say the exception's type, text and traceback, and where it was raised; the worker goes on."""
    told = error_of(worker.execute("fail", {}))
    assert (told["type"], told["message"]) == ("KeyError", "'nothing here'")
    assert told["context"] == {"tool_name": "fail", "session_id": "session_1_2"}
    assert told["stacktrace"][-1] == "KeyError: 'nothing here'"
    assert "snakepit_tools.py" in told["traceback"]
    assert error_of(worker.execute("leave", {}))["type"] == "SystemExit"
    assert "no tool 'nope'" in error_of(worker.execute("nope", {}))["message"]
    bad = message((1, "session_1_2"), (2, "size"), (3, entry("factor", message((1, "x"), (2, b"{not json")))))
    assert "parameter 'factor' is no JSON" in error_of(worker.call("ExecuteTool", bad))["message"]
    for nested in (b"[" * 200_000, message((1, b"[" * 200_000))):
        deep = message((1, "session_1_2"), (2, "size"), (3, entry("factor", message((1, "x.StringValue"), (2, nested)))))
        assert "parameter 'factor' is nested too deep" in error_of(worker.call("ExecuteTool", deep))["message"]
    pickled = message((1, "s"), (2, "size"), (4, entry("binary_format:data", "pickle")), (6, entry("data", b"cos\nsystem\n")))
    assert "is pickled, which runs code" in error_of(worker.call("ExecuteTool", pickled))["message"]
    with pytest.raises(grpc.RpcError) as caught:
        list(worker.stream("broken", {}))
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert json.loads(caught.value.details())["message"] == "in the middle"
    for length, char in ((8000, "x"), (3000, "\u20ac"), (2000, "\n"), (10, "\ud800")):  # metadata of a status has a limit
        with pytest.raises(grpc.RpcError) as caught:
            list(worker.stream("broken", {"length": length, "char": char}))
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert json.loads(caught.value.details())["type"] == "ValueError"
    for method in ("RegisterTools", "GetExposedElixirTools", "ExecuteElixirTool"):
        with pytest.raises(grpc.RpcError) as refused:
            worker.call(method, b"")
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_parameters(worker: SnakepitHost) -> None:
    """Raw JSON under any type, a packed StringValue, floats that are no numbers."""
    packed = message((1, "type.googleapis.com/google.protobuf.StringValue"), (2, message((1, "hello"))))
    for item, expected in (
        (packed, "hello"),
        (message((2, b"[1]")), [1]),
        (message((1, "x/y.float"), (2, b'"Infinity"')), "Infinity"),
        (message((1, "x/y.integer"), (2, b"7")), 7.0),
        (message((1, "x/y.StringValue"), (2, message((1, "7" * 49)))), int("7" * 49)),
        (message((1, "x/y.StringValue"), (2, message((1, '"' + "a" * 43 + '"')))), "a" * 43),
        (any_of({"deep": [None, True, 1.5]}), {"deep": [None, True, 1.5]}),
    ):
        worker.call("ExecuteTool", message((1, "session_1_2"), (2, "remember"), (3, entry("value", item))))
        assert value_of(worker.execute("recall", {}))[1] == expected


def test_streams(worker: SnakepitHost) -> None:
    """Chunks are numbered from 1 and end in a final one, whatever the tool yields."""
    chunks = list(worker.stream("chunks", {"count": 3}))
    assert [text(item, 1) for item in chunks] == [f"chunks-{number}" for number in (1, 2, 3, 4)]
    assert [fields(item).get(2) for item in chunks] == [[b'{"n":0}'], [b'{"n":1}'], [b'{"n":2}'], None]
    assert [fields(item).get(3) for item in chunks] == [None, None, None, [1]]
    odd = list(worker.stream("odd_chunks", {}))
    marker = b'[{"__ffi_unserializable__":true,"__type__":"builtins.type"}]'
    assert [fields(item).get(2, [b""])[0] for item in odd] == [b"\x00raw", b"text", b"", b"[1,2]", marker, b'{"last":1}']
    assert [fields(item).get(3) for item in odd] == [None] * 5 + [[1]]
    assert entries(odd[-1], 4)["kind"] == b"best"
    one = list(worker.stream("pid", {}))
    assert [fields(item).get(3) for item in one] == [[1]]
    assert len(list(worker.stream("chunks", {"count": 20_000}))) == 20_001


def test_host_tools(worker: SnakepitHost) -> None:
    """By position and by name; what they raise arrives."""

    def divide(a: float, b: float) -> float:
        return a / b

    worker.host_tools["divide"] = divide
    assert value_of(worker.execute("offered", {})) == ("list", ["divide"])
    assert value_of(worker.execute("ask", {"name": "divide", "a": 3, "b": 2})) == ("float", 1.5)
    told = error_of(worker.execute("ask", {"name": "divide", "a": 3, "b": 0}))
    assert "division by zero" in told["message"]
    told = error_of(worker.execute("ask", {"name": "divide", "a": "\ud800", "b": 0}))  # what protobuf does not take
    assert "surrogate" in told["message"].lower()
    worker.raw_result = b"[" * 200_000
    told = error_of(worker.execute("ask", {"name": "divide", "a": 1, "b": 1}))
    assert "nested too deep" in told["message"]


def test_all_first_calls_of_a_session_wait_for_its_introduction(worker: SnakepitHost) -> None:
    """Several at once, and the first of them leaves: none runs before the host knows the session, and it is told of it once."""
    worker.introduction_takes = 0.7
    with concurrent.futures.ThreadPoolExecutor(3) as threads:
        impatient = threads.submit(worker.execute, "pid", {}, None, 0.2)
        rest = [threads.submit(worker.execute, "offered", {}) for _ in range(2)]
        with pytest.raises(grpc.RpcError):
            impatient.result()
        assert [value_of(item.result())[0] for item in rest] == ["list", "list"]
    said = [method for method, _ in worker.told]
    assert said.count("RegisterTools") == 1
    assert 0 < worker.known_after <= said.index("GetExposedElixirTools")


def test_an_adapter_that_runs_all_by_one_method(host: SnakepitHost, script: pathlib.Path, environment: dict[str, str]) -> None:
    """As Snakepit's template has it: told its session, initialised for each request, with the imports of Snakepit's SDK."""
    host.host_tools["double"] = lambda number: 2 * number
    host.start(script, "--adapter", "snakepit_dispatcher.Dispatcher", **environment)
    told = value_of(host.execute("describe", {"x": [1]}))[1]
    assert told == {
        "arguments": {"x": [1]},
        "session": "session_1_2",
        "same": True,
        "initialized": True,
        "logger": "snakepit.snakepit_dispatcher",
        "ref": "<ZeroCopyRef arrow 1 on cpu>",
        "beats": 5.0,
        "context": True,
    }
    assert value_of(host.execute("ask", {})) == ("list", [["double"], 42])
    assert [fields(item)[2] for item in host.stream("stream", {})] == [[b'{"n":0}'], [b'{"n":1}'], [b'{"n":2}']]
    assert value_of(host.execute("typed", {}))[1] == ["type.googleapis.com/snakepit.float", "inf", '{"x": [1]}']
    assert error_of(host.execute("nope", {}))["type"] == "NotImplementedError"


def test_sessions(worker: SnakepitHost) -> None:
    """They are known by their metadata, and end with their state."""
    worker.execute("remember", {"value": 1})
    known = worker.call("GetSession", message((1, "session_1_2")))
    assert (text(known, 1), entries(known, 2)) == ("session_1_2", {"elixir_node": b"n@h"})
    assert fields(known)[4][0] > 10
    assert fields(worker.call("CleanupSession", message((1, "session_1_2"))))[2] == [1]
    assert value_of(worker.execute("recall", {})) == ("string", "None")
    with pytest.raises(grpc.RpcError) as missing:
        worker.call("GetSession", message((1, "forged")))
    assert missing.value.code() is grpc.StatusCode.NOT_FOUND


def test_heartbeats_while_a_tool_works(worker: SnakepitHost) -> None:
    """They are answered at once, with the host's own word; the worker's own beats come too."""
    worker.execute("remember", {"value": 1})
    slow = worker.stream("stuck", {}, timeout=30)
    next(slow)
    began = time.monotonic()
    assert fields(worker.call("Heartbeat", message((1, "session_1_2"))))[2] == [1]
    worker.session_valid = False
    assert 2 not in fields(worker.call("Heartbeat", message((1, "session_1_2"))))
    assert time.monotonic() - began < 1.0
    deadline = time.monotonic() + 10
    while sum(method == "Heartbeat" for method, _ in worker.told) < 4:  # two of ours, and two of its own
        assert time.monotonic() < deadline
        time.sleep(0.05)
    slow.cancel()


def test_a_client_that_leaves_frees_the_worker(worker: SnakepitHost) -> None:
    """Within a second, also while its tool sleeps; so does a deadline that passes."""
    slow = worker.stream("stuck", {}, timeout=30)
    next(slow)
    slow.cancel()
    began = time.monotonic()
    first = value_of(worker.execute("pid", {}))
    assert time.monotonic() - began < 1.0
    with pytest.raises(grpc.RpcError) as late:
        worker.execute("sleep", {"seconds": 600}, timeout=0.3)
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    began = time.monotonic()
    assert value_of(worker.execute("pid", {})) == first
    assert time.monotonic() - began < 1.0


def test_telemetry(worker: SnakepitHost) -> None:
    """Events wait until the host has toggled them on; filters and sampling choose."""
    worker.execute("emit", {})
    control, events = worker.telemetry()
    control(message((1, message((1, True)))))
    told = [next(events) for _ in range(4)]
    names = [b".".join(fields(item)[1]).decode() for item in told]
    assert names == ["tool.execution.start", "tool.result_size", "python.gc.completed", "tool.execution.stop"]
    size = fields(told[1])
    assert {text(item, 1): fields(fields(item)[2][0]) for item in size[2]} == {"bytes": {1: [12]}, "ratio": {2: [0.5]}}
    assert text(told[1], 5) == "sp-" + "0" * 24
    assert abs(size[4][0] / 1e9 - time.time()) < 60
    control(message((3, message((1, "tool.*"), (2, "tool.execution.*")))))
    control(message((2, message((1, 0.0), (2, "tool.nothing")))))
    time.sleep(0.2)  # controls are obeyed as they come, and nothing answers them
    worker.execute("emit", {})
    assert b".".join(fields(next(events))[1]) == b"tool.result_size"


def test_terminated_while_it_waits_for_a_host(tmp_path: pathlib.Path, script: pathlib.Path, environment: dict[str, str]) -> None:
    """It leaves at once, although nobody has answered yet."""
    command = [sys.executable, str(script), *ADAPTER, "--port", "0", "--elixir-address", "127.0.0.1:1"]
    with subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.PIPE) as process:
        time.sleep(1.0)
        assert process.poll() is None
        began = time.monotonic()
        process.terminate()
        assert process.wait(5) == 0
        assert time.monotonic() - began < 2.0


def test_terminated_while_a_tool_is_in_c(worker: SnakepitHost) -> None:
    """Where no handler of Python's runs: it leaves within the six seconds that its host waits."""
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        call = threads.submit(worker.execute, "in_c", {}, None, 60.0)
        time.sleep(0.5)
        code, seconds = worker.terminate()
        assert (code, seconds < 6) == (0, True)
        with pytest.raises(grpc.RpcError):
            call.result()


def test_health_checks(script: pathlib.Path, environment: dict[str, str]) -> None:
    """Exit code 0 or 1, with the reason; also by the threaded script."""
    for name, adapter, code in (
        ("grpc_server.py", "snakepit_tools.Adapter", 0),
        ("grpc_server_threaded.py", "snakepit_bridge.adapters.showcase.ShowcaseAdapter", 0),
        ("grpc_server.py", "nowhere.Adapter", 1),
    ):
        command = [sys.executable, str(script.with_name(name)), "--health-check", "--adapter", adapter]
        done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode == code, done.stderr
        assert code == 0 or "nowhere" in done.stderr


def test_the_host_dies(host: SnakepitHost, script: pathlib.Path, environment: dict[str, str]) -> None:
    """The worker ends with whoever holds its stdin, although nobody has told it."""
    host.start(script, *ADAPTER, **environment)
    assert host.process is not None
    assert host.process.stdin is not None
    host.process.stdin.close()
    assert host.process.wait(5) == 0


def test_another_snakepit_bridge_is_refused(script: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Where one was imported before the script had a say."""
    other = tmp_path / "other"
    (other / "snakepit_bridge").mkdir(parents=True)
    (other / "snakepit_bridge" / "__init__.py").write_text("")
    (other / "sitecustomize.py").write_text("import snakepit_bridge")
    done = subprocess.run(
        [sys.executable, str(script), "--health-check"],
        env={**os.environ, "PYTHONPATH": str(other)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "another snakepit_bridge was imported" in done.stderr


def test_requests_that_are_none(worker: SnakepitHost) -> None:
    """Truncated and random bytes are refused by gRPC, and the worker goes on."""
    for data in (b"\xff" * 40, request_of("pid", {})[:-3], b"\x0a\xff\xff\xff\xff\x0f"):
        with pytest.raises(grpc.RpcError):
            worker.call("ExecuteTool", data)
    assert value_of(worker.execute("pid", {}))[0] == "float"
