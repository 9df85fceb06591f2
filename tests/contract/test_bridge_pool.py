"""Servers that speak Snakepit's service under our host: `protocol="bridge"`."""

from __future__ import annotations

import os
import pathlib
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

import snakepit
from hand_wire import entry, message
from snakepit_worker import STRING_VALUE, same

pytestmark = pytest.mark.slow

FOREIGN = [sys.executable, str(pathlib.Path(__file__).with_name("snakepit_worker.py"))]
OURS = [sys.executable, "-m", "snakepit_bridge.grpc_server"]


@pytest.fixture
def pool() -> Iterator[snakepit.Pool]:
    """A pool of one stand-in for Snakepit's own worker."""
    with snakepit.Pool(protocol="bridge", command=FOREIGN, size=1, cancel_timeout=0.5) as made:
        yield made


def test_calls(pool: snakepit.Pool) -> None:
    """Results, errors, binary parameters; tools that the server has not told may be called, and say themselves that they are none."""
    assert pool.execute("add", {"a": 1, "b": 2}) == 3
    assert pool.execute("size", binary_parameters={"data": b"12345"}) == 5
    with pytest.raises(snakepit.ToolError, match="not here") as failed:
        pool.execute("fail")
    assert failed.value.type == "LookupError"
    with pytest.raises(snakepit.ToolError, match="no tool nope"):
        pool.execute("nope")
    where = pool.execute("where")
    assert where["args"][:2] == ["--port", "0"]
    assert where["pid"] == pool.workers()[0].pid
    assert not pathlib.Path(where["ready"]).exists()
    info = pool.workers()[0].info()
    assert (info.protocol, info.endpoint.startswith("127.0.0.1:")) == ("bridge", True)


def test_what_degrades_is_told(pool: snakepit.Pool) -> None:
    """The protocol, and what it cannot do, stand in the figures."""
    stats = pool.stats()
    assert stats.protocol == "bridge"
    assert any("is not interrupted softly" in reason for reason in stats.protocol_reasons)
    assert any("no credit" in reason for reason in stats.protocol_reasons)


def test_streams(pool: snakepit.Pool) -> None:
    """Chunks as they come, numbered, with one final one; also of more than any window holds, and of a reader that leaves."""
    assert list(pool.stream("count", {"count": 3}).values()) == [{"n": n, "pad": ""} for n in range(3)]
    assert [chunk["is_final"] for chunk in pool.stream("count", {"count": 2})] == [False, False, True]
    odd = list(pool.stream("odd"))
    assert [chunk.get("raw_data", chunk.get("data")) for chunk in odd[:2]] == [b"\x00raw", [1, 2]]
    assert odd[1]["_metadata"]["kind"] == "list"
    assert (odd[2]["last"], odd[2]["is_final"], odd[2]["_metadata"]["kind"]) == (1, True, "best")
    assert sum(1 for _ in pool.stream("count", {"count": 20_000, "pad": 500})) == 20_001
    with pytest.raises(snakepit.ToolError, match="in the middle"):
        list(pool.stream("broken"))


def test_a_slow_reader_holds_the_server_back(pool: snakepit.Pool) -> None:
    """What is on its way is bounded by the window and HTTP/2's own."""
    import psutil

    stream = pool.stream("count", {"count": 200_000, "pad": 1000})
    next(stream)
    before = psutil.Process().memory_info().rss
    time.sleep(1.0)
    assert psutil.Process().memory_info().rss - before < 64 * 1024 * 1024
    stream.close()


def test_a_cancelled_call_costs_its_worker(pool: snakepit.Pool, tmp_path: pathlib.Path) -> None:
    """The caller has its error at once; the server, which does not tell when the tool has ended, is ended and replaced."""
    first = pool.execute("where")["pid"]
    began = time.monotonic()
    with pytest.raises(snakepit.WorkerTimeout):
        pool.execute("sleep", {"seconds": 600, "mark": str(tmp_path / "begun")}, timeout=0.5)
    assert time.monotonic() - began < 1.0
    assert pool.execute("where")["pid"] != first
    assert pool.stats().killed == 1


def test_a_crash(pool: snakepit.Pool) -> None:
    """Its call fails by name; another server takes its place."""
    with pytest.raises(snakepit.WorkerCrashed, match="exited with code 9"):
        pool.execute("crash")
    assert pool.execute("add", {"a": 1, "b": 1}) == 2


def test_host_tools(pool: snakepit.Pool) -> None:
    """The server calls back, for a session that cannot be guessed; a stranger gets nothing."""

    @pool.host_tool
    def double(number: int) -> int:
        return 2 * number

    assert pool.execute("ask", {"name": "double", "number": 21}) == {"offered": ["double"], "value": 42}
    with pytest.raises(snakepit.ToolError, match="the application offers no tool named .nothing."):
        pool.execute("ask", {"name": "nothing", "number": 1})
    address = pool.execute("where")["args"]
    address = address[address.index("--elixir-address") + 1]
    request = message((1, "session_1"), (2, "double"), (3, entry("number", message((1, STRING_VALUE), (2, b"1")))))
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as refused:
        ask = channel.unary_unary("/snakepit.bridge.BridgeService/ExecuteElixirTool", request_serializer=same, response_deserializer=same)
        ask(request, timeout=5)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND  # type: ignore[attr-defined]


def test_sessions(pool: snakepit.Pool) -> None:
    """Each has one of its own at the server, the same for all its calls."""
    with pool.session("a") as one, pool.session("b") as other:
        names = [one.execute("where")["session"], one.execute("where")["session"], other.execute("where")["session"]]
    assert names[0] == names[1] != names[2]
    assert pool.execute("where")["session"] not in names


def test_a_server_that_does_not_answer_is_replaced() -> None:
    """Heartbeats are its own answers, not its host's."""
    beats = {"interval": 0.1, "timeout": 0.3, "max_missed": 2}
    with snakepit.Pool(protocol="bridge", command=FOREIGN, size=1, heartbeat=beats) as pool:
        pid = pool.execute("where")["pid"]
        time.sleep(1.0)
        assert pool.execute("where")["pid"] == pid
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(snakepit.WorkerCrashed, match="had not answered 2 heartbeats"):
            pool.execute("where", timeout=15)
        assert pool.execute("where", timeout=15)["pid"] != pid


@pytest.mark.parametrize(
    ("protocol", "command", "text"), [("bridge", None, "no command is given"), ("bridge", ["/nowhere/python"], "cannot be started")]
)
def test_what_cannot_be(protocol: Any, command: list[str] | None, text: str) -> None:
    """It is said, with what would mend it."""
    with (
        pytest.raises((snakepit.ConfigurationError, snakepit.PoolStartFailed), match=text),
        snakepit.Pool(protocol=protocol, command=command),
    ):
        pass


def test_our_own_worker_by_that_way() -> None:
    """What speaks the service on the other side may be ours: tools are told, and results have the service's shapes."""
    with snakepit.Pool("snakepit_bridge.adapters.showcase:ShowcaseAdapter", protocol="bridge", command=OURS, size=1) as pool:
        assert pool.execute("compute", {"operation": "add", "a": 1, "b": 2}) == 3
        assert "compute" in {spec.name for spec in pool.tool_specs()}
        assert [chunk["message"] for chunk in pool.stream("ping_stream", {"count": 2})] == ["ping 1 of 2", "ping 2 of 2"]
        with pytest.raises(snakepit.InvalidParameter):
            pool.execute("compute", {"operation": "add", "a": 1})
        began = time.monotonic()
    assert time.monotonic() - began < 3.0
