"""The gateway as a client in another language has it: programs for Node.js, with grpc-js and proto-loader, make every kind of call."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from gateway_helpers import running, served
from node_programs import PROTO, Node
from snakepit import AsyncPool
from snakepit.gateway import Gateway, GatewaySettings, Limits, Token
from snakepit.gateway.server import _options

pytestmark = [
    pytest.mark.usefixtures("leaves_nothing"),
    pytest.mark.slow,
    pytest.mark.timeout(330),  # the first installs Node.js where it is not there; each wait for a program is bounded by itself
]


_PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "serve.md"
#: Half a minute of waiting, only where promises are shown in full.
FULL = os.environ.get("PROMISES") == "full"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    return Node.installed(tmp_path_factory.mktemp("node"))


async def test_results(node: Node) -> None:
    """JSON goes and comes as it is, also beyond ASCII, and beside a result stand its kind, its worker and the time it took."""
    values = [None, True, -1.5, "", "é\u2028🐍", [1, [None]], {"a": {"b": []}}, 2**53 - 1]
    async with served() as it:
        first, *echoed = await node.answers("unary", it.gateway.address, values=values)
        assert (first["value"], first["kind"], first["success"], first["spent"]) == (
            5,
            "type.googleapis.com/snakepit.integer",
            True,
            "number",
        )
        assert set(first["metadata"]) == {"execution_time_ms", "worker_id"}
        assert [answer["value"] for answer in echoed] == values


async def test_streams(node: Node) -> None:
    """Chunks come counted, with the kind of what is not JSON and of reports; the last alone is final, and sums up."""
    async with served() as it:
        chunks = await node.answers("stream", it.gateway.address)
        assert [chunk["id"] for chunk in chunks[:4]] == ["count-1", "count-2", "count-3", "count-4"]
        assert [chunk["final"] for chunk in chunks] == [number in (3, 8, 11) for number in range(12)]
        assert [chunk["data"] for chunk in chunks[4:9]] == [[0, 255], "text", 5, [1, None], None]
        assert [chunk["metadata"].get("kind") for chunk in chunks[4:8]] == ["binary", "text", None, None]
        assert [chunk["metadata"].get("kind") for chunk in chunks[9:]] == ["progress", "progress", None]
        assert chunks[3]["data"] == {"counted": 3}
        assert chunks[3]["metadata"]["chunks"] == "4"


async def test_bytes(node: Node) -> None:
    """Bytes go as `binary_parameters` and come as `binary_result`, also 8 MiB and none at all; out of place they are refused by name."""
    async with served() as it:
        big, empty, wrong = await node.answers("binary", it.gateway.address, size=8 << 20)
        assert big == {"length": 8 << 20, "equal": True}
        assert empty == {"size": 0}
        assert (wrong["status"], wrong["reason"]) == ("INVALID_ARGUMENT", "invalid_binary_parameter")
        assert wrong["metadata"]["parameter"] == "b"


async def test_parameters_that_are_no_json(node: Node) -> None:
    """Each is INVALID_ARGUMENT with the reason `invalid_parameter` and the parameter's name, and the pool has been asked nothing."""
    async with served() as it:
        told = await node.answers("malformed", it.gateway.address)
        assert [(answer["status"], answer["reason"]) for answer in told] == [("INVALID_ARGUMENT", "invalid_parameter")] * 6
        assert [answer["metadata"]["parameter"] for answer in told] == ["b"] * 5 + ["to"]
        assert {answer["domain"] for answer in told} == {"snakepit"}
        assert all("is no JSON" in answer["message"] for answer in told)
        assert it.pool.stats().submitted == 0


async def test_cancels(node: Node) -> None:
    """A call that its client cancels, and a stream, free the only worker at once."""
    async with served() as it, node.running("cancel", it.gateway.address) as program:
        await running(it.pool)
        await program.tell("cancel")
        call, stream = await program.answers()
        assert (call["status"], call["next"]) == ("CANCELLED", 2)
        assert (stream["status"], stream["next"]) == ("CANCELLED", 2)
        assert it.pool.stats().restarts == 0


async def test_deadlines(node: Node) -> None:
    """A call and a stream end at their deadlines with DEADLINE_EXCEEDED, and their tools are interrupted."""
    async with served() as it:
        call, stream = await node.answers("deadline", it.gateway.address)
        assert (call["status"], call["next"]) == ("DEADLINE_EXCEEDED", 2)
        assert call["after"] < 2000
        assert (stream["status"], stream["next"]) == ("DEADLINE_EXCEEDED", 2)
        assert stream["chunks"] > 2


async def test_tokens(node: Node) -> None:
    """Without a known token nothing is served, not even health and reflection; with one all is but the tools that are not for it."""
    token = Token.of("node", "the token of a program", tools=["add"])
    async with served(tokens=(token,)) as it:
        none, wrong, known = await node.answers("auth", it.gateway.address, known="the token of a program")
        for nobody in (none, wrong):
            assert [answer["status"] for answer in nobody.values()] == ["UNAUTHENTICATED"] * 4
            assert {answer["reason"] for answer in nobody.values()} == {"unauthenticated"}
        assert [known[what]["status"] for what in ("allowed", "checked", "listed")] == ["OK"] * 3
        assert (known["denied"]["status"], known["denied"]["reason"]) == ("PERMISSION_DENIED", "access_denied")


async def test_a_slow_reader_among_a_hundred(node: Node) -> None:
    """Of 100 streams over one connection one is not read for a while: the others end, and then it gets every chunk too, in order."""
    async with served(pool_settings={"profile": "thread", "threads_per_worker": 100}) as it:
        others, slow = await node.answers("slow_reader", it.gateway.address, streams=100, chunks=100, size=10_000)
        assert (others["others"], others["failed"]) == (99, [])
        assert others["meanwhile"] < 100
        assert slow == {"chunks": 100, "ended": 100}


async def test_sessions(node: Node) -> None:
    """A session lists its tools, keeps metadata and state, and is over when it has been cleaned up."""
    async with served(size=2) as it:
        opened, state, found, cleaned, over = await node.answers("sessions", it.gateway.address)
        assert opened == {"success": True, "tool": {"name": "count", "streams": True, "takes": ["to", "size"]}}
        assert state == {"value": "kept", "without": None}
        assert (found["metadata"], found["valid"]) == ({"plan": "gold"}, True)
        assert -2 < found["age"] < 60
        assert cleaned == {"cleaned": True, "again": False}
        assert (over["valid"], over["lost"]["status"], over["lost"]["reason"]) == (False, "NOT_FOUND", "session_ended")


async def test_health(node: Node) -> None:
    """Check knows the gateway, its service and its pools; who watches hears when it is about to leave."""
    async with served() as it, node.running("health", it.gateway.address) as program:
        assert [(await program.answer())["status"] for _ in range(4)] == ["SERVING"] * 3 + ["NOT_FOUND"]
        assert (await program.answer())["watched"] == "SERVING"
        await it.gateway.drain()
        assert await program.answers() == [{"watched": "NOT_SERVING"}]


async def test_reflection(node: Node) -> None:
    """The services are listed, and a client that has only their descriptors makes a call."""
    async with served() as it:
        listed, described, called = await node.answers("reflection", it.gateway.address, symbol="snakepit.bridge.BridgeService")
        own = {"snakepit.bridge.BridgeService", "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
        assert set(listed["services"]) == own
        assert ["/snakepit.bridge.BridgeService/ExecuteStreamingTool", True] in described["methods"]
        assert len(described["methods"]) == 11
        assert described["unknown"] == "NOT_FOUND"
        assert called == {"value": 42}


async def test_pings(node: Node) -> None:
    """A connection without calls may be pinged every 5 s, and 10 s is the least that Go allows; what pings far more often is told so."""
    allowed = {name: value for name, value in _options(Limits()) if "ping" in name or "permit" in name}
    assert allowed["grpc.http2.min_ping_interval_without_data_ms"] <= 5_000  # the one that gRPC's core heeds
    assert allowed["grpc.keepalive_permit_without_calls"] == 1
    async with served() as it:
        [often] = await node.answers("keepalive", it.gateway.address, every=200, pings=20)
        assert often["goaway"] == "too_many_pings"
        if FULL:  # without these settings gRPC's core has enough at the fourth
            assert await node.answers("keepalive", it.gateway.address, every=5_200, pings=6) == [{"answered": 6, "goaway": None}]


async def test_the_pages_client(node: Node, tmp_path: Path) -> None:
    """The client that the how-to shows runs as it stands there: a result, a stream, and what a failure says of itself."""
    shown = re.findall(r"^```(\w+)\n(.*?)^```", _PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    tools = next(body for _, body in shown if body.startswith("# price_tools.py"))
    (tmp_path / "price_tools.py").write_text(tools, encoding="utf-8")
    (tmp_path / "status.proto").write_text(next(body for _, body in shown if body.startswith("// status.proto")), encoding="utf-8")
    (tmp_path / "snakepit.proto").write_bytes(PROTO.read_bytes())
    client = "\n".join(body for language, body in shown if language == "js")
    async with (
        AsyncPool(str(tmp_path / "price_tools.py"), size=1, worker_output="discard") as pool,
        Gateway({"main": pool}, GatewaySettings(address="127.0.0.1:0")) as gateway,
    ):
        assert "127.0.0.1:50051" in client
        (tmp_path / "client.js").write_text(client.replace("127.0.0.1:50051", gateway.address), encoding="utf-8")
        printed = await node.printed(tmp_path / "client.js")
    assert {"5", "invalid_parameter a", "{ day: 0, price: 100 } false", "{ day: 2, price: 102 } false", "null true"} == {
        line for line in printed if "day: 1" not in line
    }
