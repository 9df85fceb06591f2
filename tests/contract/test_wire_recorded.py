"""What our programs send and take on Snakepit's wire, read strictly by the facts: worker, host and gateway, each with a peer made by hand."""

from __future__ import annotations

import json
import math
import pathlib
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import grpc.aio
import pytest

import snakepit
from hand_wire import message
from snakepit.cli import compat_scripts
from snakepit.gateway import Gateway, GatewaySettings
from snakepit_host import SnakepitHost
from snakepit_tools import Adapter
from wire_facts import METHODS, PATH, bytes_of, read_as

pytestmark = pytest.mark.slow

HERE = pathlib.Path(__file__).parent
SESSION = "session_1_2"
STRING_VALUE = "type.googleapis.com/google.protobuf.StringValue"
ERROR_KEYS = ["type", "message", "stacktrace", "traceback", "context"]


def kind(name: str) -> str:
    return f"type.googleapis.com/snakepit.{name}"


#: A parameter's type_url and value, and what the tool sees.
PARAMETERS = [
    (STRING_VALUE, b'"hello"', "str 'hello'"),
    (STRING_VALUE, b'"12"', "str '12'"),
    (STRING_VALUE, b"12", "int 12"),
    (STRING_VALUE, b"null", "NoneType None"),
    (STRING_VALUE, b'{"a":[1,null,{"b":1.5}]}', "dict {'a': [1, None, {'b': 1.5}]}"),
    (STRING_VALUE, '"grüße"'.encode(), "str 'grüße'"),
    (STRING_VALUE, message((1, "truly packed")), "str 'truly packed'"),
    (STRING_VALUE, message((1, "long " * 100)), f"str {'long ' * 100!r}"),
    (STRING_VALUE, b"", "str ''"),
    ("", b"[1]", "list [1]"),
    ("type.googleapis.com/google.protobuf.Value", b'"x"', "str 'x'"),
    (kind("float"), b"1.5", "float 1.5"),
    (kind("float"), b'"NaN"', "float nan"),
    (kind("float"), b'"Infinity"', "float inf"),
    (kind("float"), b'"-Infinity"', "float -inf"),
    ("float", b'"NaN"', "float nan"),
    (kind("string"), b'"NaN"', "str 'NaN'"),
    (kind("integer"), b"7", "int 7"),
    (kind("integer"), b"7.0", "int 7"),
    (kind("tensor"), b'{"shape":[2],"data":[0.5,1]}', "dict {'shape': [2], 'data': [0.5, 1]}"),
    (kind("embedding"), b"[0.5,1]", "list [0.5, 1]"),
]
#: A parameter that is none, and what is said of it.
WRONG_PARAMETERS = [
    (STRING_VALUE, b"hello", "is no JSON"),
    (STRING_VALUE, b"\x0a\x7fshort", "is no JSON"),
    (STRING_VALUE, b'"\xff"', "is no JSON: it is not UTF-8"),
    ("", b"", "is no JSON"),
    (kind("float"), b'"many"', "allowed as a float is a number, 'NaN', 'Infinity', '-Infinity'"),
    (kind("integer"), b"1.5", "allowed as an integer is a whole number"),
    (kind("integer"), b"true", "allowed as an integer is a whole number"),
]
#: What a tool gives, and the very bytes of its result; then `binary_result`.
RESULTS = [
    ("none", "string", b'"None"', b""),
    ("true", "boolean", b"true", b""),
    ("five", "float", b"5.0", b""),
    ("half", "float", b"0.5", b""),
    ("huge", "float", b"1180591620717411303424", b""),
    ("nan", "float", b'"NaN"', b""),
    ("text", "string", '"grüße"'.encode(), b""),
    ("bytes", "string", b'""', b"\x00\xff"),
    ("tuple", "list", b"[1,2]", b""),
    ("set", "list", b"[1,3]", b""),
    ("array", "list", b"[0,1,2]", b""),
    (
        "map",
        "map",
        b'{"a":[1,[2]],"when":"2026-01-02","odd":{"__ffi_unserializable__":true,"__type__":"builtins.object"}}',
        b"",
    ),
]


def call_of(tool: str, session: str = SESSION, **told: Any) -> dict[str, Any]:
    """An `ExecuteToolRequest`, with what of it is not empty."""
    return {"session_id": session, "tool_name": tool, **told}


def json_any(value: Any) -> dict[str, Any]:
    return {"type_url": STRING_VALUE, "value": json.dumps(value, separators=(",", ":")).encode()}


def is_recent(stamp: dict[str, int]) -> bool:
    return abs(stamp["seconds"] + stamp.get("nanos", 0) / 1e9 - time.time()) < 60


# Our worker, under a host -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SnakepitHost]:
    """Snakepit's host, with our worker started."""
    folder = tmp_path_factory.mktemp("recorded")
    host = SnakepitHost(folder)
    try:
        script = compat_scripts.install(folder / "priv" / "python")[0]
        host.start(script, "--adapter", "snakepit_tools.Adapter", PYTHONPATH=str(HERE))
        yield host
    finally:
        host.close()


def asked(worker: SnakepitHost, method: str, told: dict[str, Any]) -> dict[str, Any]:
    """What a method of the worker answers."""
    takes, gives, *_ = METHODS[method]
    return read_as(gives, worker.call(method, bytes_of(takes, told)))


def test_what_a_worker_answers_and_asks(worker: SnakepitHost) -> None:
    """Each message of its day has the stated fields, and no other: introduction, tools, calls, host tools, beats, sessions."""

    def divide(a: float, b: float) -> float:
        return a / b

    worker.host_tools["divide"] = divide
    pong = asked(worker, "Ping", {"message": "health_check_1"})
    assert pong.pop("message") == "Pong from Python: health_check_1"
    assert is_recent(pong["server_time"])
    opened = asked(worker, "InitializeSession", {"session_id": SESSION, "metadata": {"a": "b"}, "config": {"cache_ttl_seconds": 60}})
    assert (opened["success"], set(opened)) == (True, {"success", "available_tools"})
    size = opened["available_tools"]["size"]
    data = size["parameters"][0]
    assert (data["name"], data["required"], json.loads(data["validation_json"])["type"]) == ("data", True, data["type"])
    assert size["parameters"][1] == {
        "name": "factor",
        "type": "integer",
        "default_value": {"type_url": STRING_VALUE, "value": b"1"},
        "validation_json": '{"type":"integer"}',
    }
    assert opened["available_tools"]["instances"]["description"] == "How often an instance was made"
    assert opened["available_tools"]["chunks"]["supports_streaming"] is True

    given = {"name": json_any("divide"), "a": json_any([3]), "b": json_any("text")}
    assert asked(worker, "ExecuteTool", call_of("ask", parameters=given)).get("success") is None
    parameters = {"name": json_any("divide"), "a": json_any(3), "b": json_any(2)}
    answer = asked(worker, "ExecuteTool", call_of("ask", parameters=parameters, metadata={"python_version": "3.11.7"}))
    answer.pop("execution_time_ms", None)  # 0 is not sent
    assert answer == {"success": True, "result": {"type_url": kind("float"), "value": b"1.5"}}
    assert asked(worker, "Heartbeat", {"session_id": SESSION, "client_time": {"seconds": 1}})["session_valid"] is True
    known = asked(worker, "GetSession", {"session_id": SESSION})
    assert (known["session_id"], known["tool_count"]) == (SESSION, len(opened["available_tools"]))
    assert known["metadata"] == {"elixir_node": "n@h", "a": "b"}
    assert is_recent(known["created_at"])
    assert asked(worker, "CleanupSession", {"session_id": SESSION, "force": True}) == {"success": True, "resources_cleaned": 1}

    told = [(method, read_as(METHODS[method][0], request)) for method, request in worker.told]
    assert told[0] == ("Ping", {"message": "connection_test"})
    assert ("InitializeSession", {"session_id": SESSION}) in told
    registered = dict(told)["RegisterTools"]
    assert (registered["session_id"], bool(registered["worker_id"])) == (SESSION, True)
    assert {tool["name"]: tool for tool in registered["tools"]} == opened["available_tools"]
    assert ("GetExposedElixirTools", {"session_id": SESSION}) in told
    asks = [request["parameters"] for method, request in told if method == "ExecuteElixirTool"]
    assert asks == [{"a": json_any([3]), "b": json_any("text")}, {"a": json_any(3), "b": json_any(2)}]
    beat = next(request for method, request in told if method == "Heartbeat")
    assert (beat["session_id"], is_recent(beat["client_time"])) == (SESSION, True)


@pytest.mark.parametrize(("given", "named", "value", "binary"), RESULTS, ids=[row[0] for row in RESULTS])
def test_a_result_of_a_worker(worker: SnakepitHost, given: str, named: str, value: bytes, binary: bytes) -> None:
    """Its type_url is one of Snakepit's five, its value the very bytes."""
    answer = asked(worker, "ExecuteTool", call_of("give", parameters={"kind": json_any(given)}))
    assert answer["success"] is True
    assert answer["result"] == {"type_url": kind(named), "value": value}
    assert answer.get("binary_result", b"") == binary


def test_parameters_that_a_worker_takes(worker: SnakepitHost) -> None:
    """The last part of the type_url says what JSON means; a StringValue may be raw JSON, as Snakepit sends it, or truly packed."""
    for type_url, value, seen in PARAMETERS:
        told = call_of("shown", parameters={"value": {"type_url": type_url, "value": value}})
        answer = asked(worker, "ExecuteTool", told)
        assert json.loads(answer["result"]["value"]) == seen, (type_url, value)
    told = call_of("size", binary_parameters={"data": b"\x00\xff\x00"}, parameters={"factor": json_any(2)})
    assert asked(worker, "ExecuteTool", told)["result"] == {"type_url": kind("float"), "value": b"6.0"}


def test_errors_of_a_worker(worker: SnakepitHost) -> None:
    """Unary: status OK, no success, no result, JSON of five keys. Of a stream: INTERNAL, with the same JSON as details."""
    answer = asked(worker, "ExecuteTool", call_of("fail", metadata={"thread_sensitive": "true"}))
    assert set(answer) - {"execution_time_ms"} == {"error_message"}
    told = json.loads(answer["error_message"])
    assert list(told) == ERROR_KEYS
    assert told["stacktrace"] == told["traceback"].splitlines()
    assert (told["type"], told["context"]) == ("KeyError", {"tool_name": "fail", "session_id": SESSION})
    for type_url, value, said in WRONG_PARAMETERS:
        wrong = call_of("shown", parameters={"value": {"type_url": type_url, "value": value}})
        told = json.loads(asked(worker, "ExecuteTool", wrong)["error_message"])
        assert (list(told), told["type"]) == (ERROR_KEYS, "ValueError")
        assert said in told["message"]
        assert list(json.loads(_ends(worker, wrong))) == ERROR_KEYS
    broken = json.loads(_ends(worker, call_of("broken")))
    assert (list(broken), broken["type"], broken["message"]) == (ERROR_KEYS, "ValueError", "in the middle")


def _ends(worker: SnakepitHost, told: dict[str, Any]) -> str:
    """With which details a stream ends as INTERNAL."""
    assert worker.channel is not None
    with pytest.raises(grpc.RpcError) as caught:
        list(
            worker.channel.unary_stream(PATH + "ExecuteStreamingTool")(bytes_of("ExecuteToolRequest", {**told, "stream": True}), timeout=10)
        )
    assert caught.value.code() is grpc.StatusCode.INTERNAL  # type: ignore[attr-defined]
    return str(caught.value.details())  # type: ignore[attr-defined]


def test_chunks_of_a_worker(worker: SnakepitHost) -> None:
    """Byte for byte as long as the tool yields; then one that is final, and empty if the tool gave no more."""
    data = list(worker.stream("chunks", {"count": 2}))
    assert data[:2] == [message((1, "chunks-1"), (2, b'{"n":0}')), message((1, "chunks-2"), (2, b'{"n":1}'))]
    last = read_as("ToolChunk", data[2])
    assert (last.pop("chunk_id"), last.pop("is_final"), set(last)) == ("chunks-3", True, {"metadata"})
    odd = [read_as("ToolChunk", item) for item in worker.stream("odd_chunks", {})]
    assert odd[0] == {"chunk_id": "odd_chunks-1", "data": b"\x00raw"}
    assert odd[2] == {"chunk_id": "odd_chunks-3"}
    assert (odd[5]["data"], odd[5]["is_final"], odd[5]["metadata"]["kind"]) == (b'{"last":1}', True, "best")


def test_telemetry_of_a_worker(worker: SnakepitHost) -> None:
    """Controls of each kind are taken; events have the stated fields, whole numbers and others told apart."""
    control, events = worker.telemetry()
    for told in ({"filter": {"allow": ["tool.*"], "deny": ["tool.execution.*"]}}, {"toggle": {"enabled": True}}):
        control(bytes_of("TelemetryControl", told))
    control(bytes_of("TelemetryControl", {"sampling": {"sampling_rate": 1.0, "event_patterns": ["tool.*"]}}))
    while True:
        asked(worker, "ExecuteTool", call_of("emit"))
        event = read_as("TelemetryEvent", next(events))
        if event["event_parts"] == ["tool", "result_size"]:
            break
    assert event["measurements"] == {"bytes": {"int_value": 12}, "ratio": {"float_value": 0.5}}
    assert event["metadata"]["tool"] == "emit"
    assert abs(event["timestamp_ns"] / 1e9 - time.time()) < 60


# Our host, over a worker ---------------------------------------------------------------------------------------------------------


class Recorded:
    """A pool over the stand-in for Snakepit's own worker, which keeps what it is asked and answered."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._file = folder / "record"
        command = [sys.executable, str(HERE / "snakepit_worker.py")]
        self.pool = snakepit.Pool(protocol="bridge", command=command, size=1, env={"WIRE_RECORD": str(self._file)})

    def lines(self, what: str, at: int) -> list[tuple[str, dict[str, Any], dict[str, str]]]:
        """(method, message, headers) of those that were `asked` of the worker, or `answered` to it; `at`: which message of the method."""
        told = [json.loads(line) for line in self._file.read_text().splitlines()]
        return [
            (method, read_as(METHODS[method][at], bytes.fromhex(data)), headers) for kept, method, data, headers in told if kept == what
        ]


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """Our host, with such a worker."""
    recorded = Recorded(tmp_path_factory.mktemp("foreign"))
    with recorded.pool:
        yield recorded


def test_what_a_host_asks_and_answers(foreign: Recorded) -> None:
    """Each message of its day has the stated fields, and no other: hello, sessions, calls, streams, what it says when it is dialled."""
    pool = foreign.pool

    @pool.host_tool
    def double(number: Any) -> Any:
        return number * 2

    with pool.session("mine", metadata={"who": "me", "deep": [1]}) as session:
        session.execute("add", {"a": "text", "b": "grüße"})
    list(pool.stream("count", {"count": 1}))
    pool.execute("size", binary_parameters={"data": b"\x00\xff"})
    value = "type.googleapis.com/google.protobuf.Value"
    for number, type_url in ((21, STRING_VALUE), ("ab", value), ([1, {"a": None}], value)):
        assert pool.execute("ask", {"name": "double", "number": number, "type_url": type_url})["value"] == number * 2
    with pytest.raises(snakepit.ToolError, match="unsupported operand"):
        pool.execute("ask", {"name": "double", "number": None})

    said = foreign.lines("asked", 0)
    assert said[0][:2] == ("Ping", {"message": "connection_test"})
    sessions = [told for method, told, _ in said if method == "InitializeSession"]
    assert [told["config"] for told in sessions] == [{"enable_caching": True, "cache_ttl_seconds": 60}] * 2
    assert sessions[1]["metadata"] == {"who": "me", "deep": "[1]"}
    (ended,) = [told for method, told, _ in said if method == "CleanupSession"]
    assert ended == {"session_id": sessions[1]["session_id"], "force": True}
    calls = [(told, headers) for method, told, headers in said if method == "ExecuteTool"]
    added = calls[0][0]
    assert (added["session_id"], added["tool_name"]) == (sessions[1]["session_id"], "add")
    assert added["parameters"] == {"a": json_any("text"), "b": {"type_url": STRING_VALUE, "value": '"grüße"'.encode()}}
    assert calls[1][0]["binary_parameters"] == {"data": b"\x00\xff"}
    assert "parameters" not in calls[1][0]
    (streamed,) = [(told, headers) for method, told, headers in said if method == "ExecuteStreamingTool"]
    assert [told.get("stream") for told, _ in (streamed, *calls)] == [True] + [None] * len(calls)
    for told, headers in (streamed, *calls):
        assert told["metadata"]["correlation_id"] == headers["x-snakepit-correlation-id"] != ""

    heard = foreign.lines("answered", 1)
    assert (heard[0][0], heard[0][1]["message"]) == ("Ping", "pong: connection_test")
    assert is_recent(heard[0][1]["server_time"])
    assert {"success": True} in [told for method, told, _ in heard if method == "InitializeSession"]
    registered = next(told for method, told, _ in heard if method == "RegisterTools")
    assert (registered["success"], "add" in registered["tool_ids"]) == (True, True)
    offered = next(told for method, told, _ in heard if method == "GetExposedElixirTools")
    assert offered["tools"][0]["name"] == "double"
    assert offered["tools"][0]["parameters"] == [{"name": "number", "type": "any", "required": True}]
    asks = [told for method, told, _ in heard if method == "ExecuteElixirTool"]
    assert [told.get("result") for told in asks] == [json_any(42), json_any("abab"), json_any([1, {"a": None}] * 2), None]
    assert "success" not in asks[3]
    assert "unsupported operand" in asks[3]["error_message"]


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ({"success": True, "result": {"type_url": kind("string"), "value": b'"None"'}}, "None"),
        ({"success": True, "result": {"type_url": kind("boolean"), "value": b"true"}}, True),
        ({"success": True, "result": {"type_url": kind("float"), "value": b"5.0"}, "execution_time_ms": 7}, 5.0),
        ({"success": True, "result": {"type_url": kind("float"), "value": b'"-Infinity"'}}, -math.inf),
        ({"success": True, "result": {"type_url": kind("list"), "value": b"[1, 2]"}, "metadata": {"a": "b"}}, [1, 2]),
        ({"success": True, "result": {"type_url": kind("map"), "value": b'{"a": null}'}}, {"a": None}),
        ({"success": True, "result": {"type_url": STRING_VALUE, "value": message((1, "packed"))}}, "packed"),
        ({"success": True, "result": {"type_url": kind("string"), "value": b'""'}, "binary_result": b"\x00"}, b"\x00"),
        ({"success": True}, None),
    ],
)
def test_a_result_that_a_host_takes(foreign: Recorded, answer: dict[str, Any], value: Any) -> None:
    """Each of Snakepit's types, raw JSON or truly packed, bytes beside it, and nothing at all."""
    came = foreign.pool.execute("answer", binary_parameters={"data": bytes_of("ExecuteToolResponse", answer)})
    assert (type(came), came) == (type(value), value)


@pytest.mark.parametrize(
    ("chunk", "shown"),
    [
        ({"chunk_id": "chunk-1", "data": b'{"n": 1}', "metadata": {"a": "b"}, "is_final": True}, {"n": 1}),
        ({"chunk_id": "chunk-1", "data": b"[1, 2]", "is_final": True}, {"data": [1, 2]}),
        ({"chunk_id": "chunk-1", "data": b"5"}, {"data": 5}),
        ({"chunk_id": "chunk-1"}, {"data": None}),
        ({"chunk_id": "chunk-1", "data": b"\x00raw"}, {"raw_data_base64": "AHJhdw=="}),
        ({"chunk_id": "chunk-1", "data": b"plain text"}, {"raw_data_base64": "cGxhaW4gdGV4dA=="}),
    ],
)
def test_a_chunk_that_a_host_takes(foreign: Recorded, chunk: dict[str, Any], shown: dict[str, Any]) -> None:
    """A map is itself with `is_final`, other JSON stands under `data`, what is none under `raw_data_base64`, metadata under `_metadata`."""
    came = list(foreign.pool.stream("chunk", binary_parameters={"data": bytes_of("ToolChunk", chunk)}))
    assert {name: came[0][name] for name in shown} == shown
    assert [item["is_final"] for item in came] == ([True] if chunk.get("is_final") else [False, True])
    assert {name: came[0].get("_metadata", {}).get(name) for name in chunk.get("metadata", {})} == chunk.get("metadata", {})


# The gateway, before a client ------------------------------------------------------------------------------------------------------


@pytest.fixture
async def gateway() -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a gateway before a pool of the same tools."""
    async with (
        snakepit.AsyncPool(Adapter, size=1, worker_output="discard") as pool,
        Gateway({"main": pool}, GatewaySettings(address="127.0.0.1:0")) as it,
        grpc.aio.insecure_channel(it.address) as channel,
    ):
        yield channel


async def passed(gateway: grpc.aio.Channel, method: str, told: dict[str, Any]) -> dict[str, Any]:
    """What a method of the gateway answers."""
    takes, gives, *_ = METHODS[method]
    return read_as(gives, await gateway.unary_unary(PATH + method)(bytes_of(takes, told), timeout=10))


async def test_what_a_gateway_answers(gateway: grpc.aio.Channel) -> None:
    """Each message that clients get has the stated fields, and no other; parameters are taken in all the encodings that a worker takes."""
    pong = await passed(gateway, "Ping", {"message": "x"})
    assert (pong["message"], is_recent(pong["server_time"])) == ("pong: x", True)
    opened = await passed(gateway, "InitializeSession", {"session_id": "s", "metadata": {"a": "b"}, "config": {"enable_telemetry": True}})
    assert (opened["success"], opened["available_tools"]["chunks"]["supports_streaming"]) == (True, True)
    listed = await passed(gateway, "GetExposedElixirTools", {"session_id": "s"})
    assert {tool["name"]: tool for tool in listed["tools"]} == opened["available_tools"]
    for type_url, value, seen in PARAMETERS:
        told = call_of("shown", "s", parameters={"value": {"type_url": type_url, "value": value}})
        assert json.loads((await passed(gateway, "ExecuteTool", told))["result"]["value"]) == seen, (type_url, value)
    for type_url, value, said in WRONG_PARAMETERS:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await passed(gateway, "ExecuteTool", call_of("shown", parameters={"value": {"type_url": type_url, "value": value}}))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert said in str(refused.value.details())
    given = await passed(gateway, "ExecuteTool", call_of("give", parameters={"kind": json_any("bytes")}))
    assert (given["success"], given["result"], given["binary_result"]) == (True, {"type_url": kind("binary")}, b"\x00\xff")
    executed = await passed(gateway, "ExecuteElixirTool", call_of("shown", parameters={"value": json_any([1])}))
    assert (executed["success"], executed["result"]) == (True, json_any("list [1]"))
    assert (await passed(gateway, "Heartbeat", {"session_id": "s"}))["session_valid"] is True
    known = await passed(gateway, "GetSession", {"session_id": "s"})
    assert (known["metadata"], known["tool_count"], is_recent(known["created_at"])) == ({"a": "b"}, len(listed["tools"]), True)
    assert await passed(gateway, "CleanupSession", {"session_id": "s", "force": True}) == {"success": True, "resources_cleaned": 1}
    assert "session_valid" not in await passed(gateway, "Heartbeat", {"session_id": "s"})


async def test_chunks_of_a_gateway(gateway: grpc.aio.Channel) -> None:
    """As a worker's: byte for byte as long as the tool yields, then one that is final."""
    request = bytes_of("ExecuteToolRequest", call_of("chunks", "", parameters={"count": json_any(2)}, stream=True))
    data = [item async for item in gateway.unary_stream(PATH + "ExecuteStreamingTool")(request, timeout=10)]
    assert data[:2] == [message((1, "chunks-1"), (2, b'{"n":0}')), message((1, "chunks-2"), (2, b'{"n":1}'))]
    last = read_as("ToolChunk", data[2])
    assert (last["chunk_id"], last["is_final"], last["metadata"]["chunks"]) == ("chunks-3", True, "3")
