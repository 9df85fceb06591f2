"""Every call of the guide's Quick Start and API Reference, in its Python form, against the showcase adapter.

One test per call; its session calls run against a training tool of sessions.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import snakepit
from snakepit._api.default import default_pool

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def shut_down(leaves_nothing: object) -> Iterator[None]:
    """The default pool of one test is not that of the next."""
    yield
    snakepit.shutdown()


@pytest.fixture
def pool() -> Iterator[snakepit.Pool]:
    """A pool of one worker that was given no adapter."""
    with snakepit.Pool(size=1) as pool:
        yield pool


# Quick Start ---------------------------------------------------------------------------------------------------------


def test_verify_installation() -> None:
    """Both modules of the check that follows the installation import."""
    assert importlib.import_module("grpc").__version__
    assert importlib.import_module("snakepit_bridge.grpc.snakepit_pb2").DESCRIPTOR.package == "snakepit.bridge"


def test_basic_configuration() -> None:
    """The guide's keys configure the default pool: its worker listens on a port of the range."""
    snakepit.configure(adapter_module=snakepit.adapters.GRPCPython, grpc_config={"base_port": 50051, "port_range": 100}, pool_size=1)
    assert snakepit.execute("ping", {})["message"] == "pong"
    endpoint = default_pool().workers()[0].info().endpoint
    assert 50051 <= int(endpoint.rpartition(":")[2]) <= 50151


def test_execute_ping() -> None:
    """`execute` gives the tool's result; without any configuration the showcase answers."""
    snakepit.configure(pool_size=1)
    assert snakepit.execute("ping", {})["message"] == "pong"


def test_run_your_first_stream() -> None:
    """The callback gets a chunk with a message for each ping, in order, and the call returns None after the last."""
    snakepit.configure(pool_size=1)
    received: list[str] = []
    done = snakepit.execute_stream("ping_stream", {"count": 5}, lambda chunk: received.append(f"Received: {chunk['message']}"))
    assert done is None
    assert received == [f"Received: ping {number} of 5" for number in (1, 2, 3, 4, 5)]


# Basic Execution -----------------------------------------------------------------------------------------------------


def test_execute_takes_a_timeout() -> None:
    """`execute(command, args, timeout)`: the timeout is in seconds and need not be given."""
    snakepit.configure(pool_size=1)
    assert snakepit.execute("ping", {}, timeout=30.0)["message"] == "pong"


def test_execute_compute() -> None:
    """Adding five and three gives eight."""
    snakepit.configure(pool_size=1)
    assert snakepit.execute("compute", {"operation": "add", "a": 5, "b": 3}) == 8


# Streaming Execution -------------------------------------------------------------------------------------------------


def test_execute_stream_with_the_callback_of_the_guide() -> None:
    """The callback tells the last chunk by `is_final` and reads `progress` from the others."""
    snakepit.configure(pool_size=1)
    said: list[str] = []

    def callback(chunk: dict[str, Any]) -> None:
        said.append("Stream complete!" if chunk["is_final"] else f"Progress: {chunk['progress']:.0f}%")

    snakepit.execute_stream("stream_progress", {"steps": 4, "delay_ms": 1}, callback, timeout=300.0)
    assert said == ["Progress: 25%", "Progress: 50%", "Progress: 75%", "Stream complete!"]


def test_execute_stream_progress_stream() -> None:
    """The guide's own stream, called as it calls it, with its keys."""
    snakepit.configure(pool_size=1)
    said: list[str] = []

    def callback(chunk: dict[str, Any]) -> None:
        said.append(f"✅ {chunk['message']}" if chunk["is_final"] else f"📊 {chunk['percent']}% - {chunk['message']}")

    snakepit.execute_stream("progress_stream", {"count": 2, "delay": 0.001}, callback)
    assert said == ["📊 50.0% - Processing item 1 of 2", "📊 100.0% - Processing item 2 of 2", "✅ Stream complete"]


# Streaming chunk envelope --------------------------------------------------------------------------------------------


def test_a_chunk_is_payload_with_is_final_and_metadata(pool: snakepit.Pool) -> None:
    """Each chunk is the payload and `is_final`; the last one also has `_metadata`, and there is exactly one last one."""
    chunks = list(pool.stream("stream_progress", {"delay_ms": 1}))
    assert [set(chunk) - {"_metadata"} for chunk in chunks] == [{"message", "progress", "step", "total", "is_final"}] * 5
    assert [chunk["is_final"] for chunk in chunks] == [False, False, False, False, True]
    metadata = chunks[-1]["_metadata"]
    assert metadata["chunks"] == 5
    assert metadata["worker_id"] == "worker-1"
    assert "synthetic_final" not in metadata


# Error Handling ------------------------------------------------------------------------------------------------------


def test_a_stream_that_takes_too_long(pool: snakepit.Pool) -> None:
    """`{:error, :worker_timeout}` is `WorkerTimeout`, a `TimeoutError` with that code."""
    with pytest.raises(TimeoutError) as caught:
        list(pool.stream("progress_stream", {"count": 100, "delay": 0.5}, timeout=0.3))
    assert isinstance(caught.value, snakepit.WorkerTimeout)
    assert caught.value.code == "worker_timeout"


def test_a_command_that_is_not_there(pool: snakepit.Pool) -> None:
    """The guide's `long_process` is no tool of the showcase: a `LookupError` that lists what there is."""
    with pytest.raises(LookupError, match=r"there are: .*ping_stream") as caught:
        pool.stream("long_process", {"data": []})
    assert isinstance(caught.value, snakepit.SnakepitError)
    assert caught.value.code == "unknown_tool"


def test_any_other_reason(pool: snakepit.Pool) -> None:
    """`{:error, reason}` is a `SnakepitError`: here the tool's own, with its words."""
    with pytest.raises(snakepit.SnakepitError, match="allowed are add, subtract, multiply, divide, power") as caught:
        pool.execute("compute", {"operation": "modulo", "a": 5, "b": 3})
    assert isinstance(caught.value, snakepit.ToolError)
    assert caught.value.type == "ValueError"


def test_an_invalid_payload_reaches_no_worker(pool: snakepit.Pool) -> None:
    """`{:error, {:invalid_parameter, key, message}}` is `InvalidParameter`, which names the parameter; nothing was sent."""
    with pytest.raises(snakepit.InvalidParameter, match="count") as caught:
        pool.stream("ping_stream", {"count": "five"})
    assert caught.value.code == "invalid_parameter"
    assert pool.stats().submitted == 0


def test_echo_gives_back_any_arguments(pool: snakepit.Pool) -> None:
    """Whatever JSON could say comes back as it went."""
    arguments = {"text": "é🐍", "list": [1, 2.5, None, True], "nested": {"a": {"b": []}}}
    assert pool.execute("echo", arguments) == arguments


# Session Management ------------------------------------------------------------------------------------------------------


@pytest.fixture
def session_tools() -> None:
    """The default pool offers tools with state: two workers, so that a session has to stick."""
    snakepit.configure(adapter=str(Path(__file__).parent.parent / "processes" / "session_tools.py") + ":SessionTools", pool_size=2)


@pytest.mark.usefixtures("session_tools")
def test_execute_in_session() -> None:
    """Calls of one session id find what earlier ones left; another id finds nothing of it."""
    session_id = "ml_training_42"
    assert snakepit.execute_in_session(session_id, "remember", {"key": "model", "value": "m1"}) is None
    assert snakepit.execute_in_session(session_id, "recall", {})["model"] == "m1"
    assert snakepit.execute_in_session("ml_training_43", "recall", {}) == {}


@pytest.mark.usefixtures("session_tools")
def test_execute_in_session_stream() -> None:
    """The callback gets the chunks of a tool that runs in the session; its state is there afterwards."""
    received: list[Any] = []
    assert snakepit.execute_in_session_stream("ml_session", "numbers", {"count": 3}, received.append, timeout=60.0) is None
    assert [chunk["session"] for chunk in received[:3]] == ["ml_session"] * 3
    assert received[-1]["is_final"] is True
    assert received[-1]["_metadata"]["session_id"] == "ml_session"
    assert snakepit.execute_in_session("ml_session", "recall", {})["streamed"] == 3
