"""The gateway: calls, streams, sessions and refusals as a client in any language has them, over plain BridgeService stubs."""

from __future__ import annotations

import asyncio
import json
import time

import grpc
import grpc.aio
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from gateway_helpers import refusal, request, running, served
from gateway_tools import GatewayTools
from snakepit import AsyncPool
from snakepit.gateway import Gateway, GatewaySettings
from snakepit_bridge.grpc import snakepit_pb2 as pb
from snakepit_bridge.grpc import snakepit_pb2_grpc

pytestmark = [pytest.mark.usefixtures("leaves_nothing"), pytest.mark.slow]


async def test_results_are_json_as_they_are() -> None:
    """Numbers, text, lists and None come as JSON of themselves, bytes as bytes."""
    async with served() as it:
        answer = await it.stub.ExecuteTool(request("add", a=2, b=3))
        assert (answer.success, answer.result.type_url, answer.result.value) == (True, "type.googleapis.com/snakepit.integer", b"5")
        values = [None, True, 1.5, "text", [1, {"a": None}], {"b": "é"}]
        for value in values:
            assert json.loads((await it.stub.ExecuteTool(request("echo", value=value))).result.value) == value
        reversed_ = await it.stub.ExecuteTool(request("reverse", binary={"data": b"\x00\x01\xff"}))
        assert reversed_.binary_result == b"\xff\x01\x00"


async def test_streams_end_with_one_final_chunk() -> None:
    """Chunks are counted from 1, the last alone is final and has what the tool returned, and each kind of payload says what it is."""
    async with served() as it:
        chunks = [chunk async for chunk in it.stub.ExecuteStreamingTool(request("count", to=3))]
        assert [chunk.chunk_id for chunk in chunks] == ["count-1", "count-2", "count-3", "count-4"]
        assert [chunk.is_final for chunk in chunks] == [False, False, False, True]
        assert [json.loads(chunk.data).get("number") for chunk in chunks[:3]] == [0, 1, 2]
        assert json.loads(chunks[3].data) == {"counted": 3}
        assert chunks[3].metadata["chunks"] == "4"
        mixed = [chunk async for chunk in it.stub.ExecuteStreamingTool(request("mixed"))]
        assert [(chunk.data, chunk.metadata.get("kind")) for chunk in mixed[:4]] == [
            (b"\x00\xff", "binary"),
            (b"text", "text"),
            (b"5", None),
            (b"[1,null]", None),
        ]


async def test_what_is_wrong_with_a_call_is_told_before_a_worker_is_asked() -> None:
    """JSON that is none, unknown tools, missing arguments, pickled and binary ones out of place: each has its code, and no call ran."""
    async with served() as it:
        broken = request("add", a=1)
        broken.parameters["b"].value = b'{"cut'
        pickled = request("size_of", binary={"data": b"x"})
        pickled.metadata["binary_format:data"] = "pickle"
        wrong = [
            (broken, grpc.StatusCode.INVALID_ARGUMENT, "invalid_parameter", "b"),
            (pickled, grpc.StatusCode.INVALID_ARGUMENT, "invalid_parameter", "data"),
            (request("add"), grpc.StatusCode.INVALID_ARGUMENT, "invalid_parameter", "a"),
            (request("add", a="x"), grpc.StatusCode.INVALID_ARGUMENT, "invalid_parameter", "a"),
            (request("add", a=1, binary={"b": b"x"}), grpc.StatusCode.INVALID_ARGUMENT, "invalid_binary_parameter", "b"),
        ]
        for asked, code, reason, parameter in wrong:
            told = await refusal(it.stub.ExecuteTool(asked))
            assert (told.code, told.reason, told.facts["parameter"]) == (code, reason, parameter)
            assert told.facts["class"] in {"InvalidParameter", "InvalidBinaryParameter"}
        unknown = await refusal(it.stub.ExecuteStreamingTool(request("addd")))
        assert (unknown.code, unknown.reason) == (grpc.StatusCode.NOT_FOUND, "unknown_tool")
        assert "did you mean 'add'?" in unknown.facts["hint"]
        assert it.pool.stats().submitted == 0


async def test_a_tools_error_tells_its_own_text_and_no_more() -> None:
    """The status has the exception's class and message; the worker's traceback stays behind unless the settings say otherwise."""
    async with served() as it:
        told = await refusal(it.stub.ExecuteTool(request("fail")))
        assert (told.code, told.reason, told.facts["type"]) == (grpc.StatusCode.UNKNOWN, "tool_error", "LookupError")
        assert "no such model" in told.message
        assert "gateway_tools" not in str(told)
    async with served(tracebacks=True) as it:
        assert "gateway_tools.py" in (await refusal(it.stub.ExecuteTool(request("fail")))).facts["traceback"]


async def test_a_deadline_is_honoured_in_the_worker_too() -> None:
    """The client has DEADLINE_EXCEEDED in time, and the tool that slept is interrupted: the only worker serves at once."""
    async with served() as it:
        began = time.monotonic()
        told = await refusal(it.stub.ExecuteTool(request("nap", seconds=30), timeout=0.3))
        assert told.code is grpc.StatusCode.DEADLINE_EXCEEDED
        await it.stub.ExecuteTool(request("add", a=1), timeout=5)
        assert time.monotonic() - began < 2


async def test_a_client_that_cancels_frees_the_worker() -> None:
    """A cancelled stream, and a cancelled call whose tool sleeps, leave the only worker free."""
    async with served() as it:
        stream = it.stub.ExecuteStreamingTool(request("ticks"))
        assert (await stream.read()).data == b"tick"
        stream.cancel()
        await it.stub.ExecuteTool(request("add", a=1), timeout=5)
        call = it.stub.ExecuteTool(request("nap", seconds=30))
        await running(it.pool)
        call.cancel()
        await it.stub.ExecuteTool(request("add", a=1), timeout=5)


async def test_sessions_stick_and_end() -> None:
    """State lasts from call to call, metadata is kept, heartbeats say whether it lives, and after CleanupSession it does not."""
    async with served(size=2) as it:
        opened = await it.stub.InitializeSession(pb.InitializeSessionRequest(session_id="s", metadata={"who": "me"}))
        assert opened.success
        assert opened.available_tools["count"].supports_streaming
        await it.stub.ExecuteTool(request("remember", "s", value="kept"))
        assert (await it.stub.ExecuteTool(request("remember", "s"))).result.value == b'"kept"'
        found = await it.stub.GetSession(pb.GetSessionRequest(session_id="s"))
        assert (found.session_id, dict(found.metadata)) == ("s", {"who": "me"})
        assert (await it.stub.Heartbeat(pb.HeartbeatRequest(session_id="s"))).session_valid
        assert (await it.stub.CleanupSession(pb.CleanupSessionRequest(session_id="s"))).success
        assert not (await it.stub.Heartbeat(pb.HeartbeatRequest(session_id="s"))).session_valid
        assert (await refusal(it.stub.GetSession(pb.GetSessionRequest(session_id="s")))).reason == "session_ended"


async def test_a_header_chooses_the_pool() -> None:
    """Requests go to the pool that their header names, else to the default; one that is not there is told with those that are."""
    async with (
        AsyncPool(GatewayTools, size=1) as main,
        AsyncPool(size=1) as showcase,
        Gateway({"main": main, "showcase": showcase}, GatewaySettings(address="127.0.0.1:0", default="showcase")) as gateway,
        grpc.aio.insecure_channel(gateway.address) as channel,
    ):
        stub = snakepit_pb2_grpc.BridgeServiceStub(channel)
        assert b"pong" in (await stub.ExecuteTool(request("ping"))).result.value
        assert (await stub.ExecuteTool(request("add", a=1), metadata=(("x-snakepit-pool", "main"),))).result.value == b"2"
        told = await refusal(stub.ExecuteTool(request("add", a=1), metadata=(("x-snakepit-pool", "other"),)))
        assert (told.code, told.reason) == (grpc.StatusCode.NOT_FOUND, "unknown_pool")
        assert "main, showcase" in told.facts["hint"]


async def test_what_outside_clients_may_not_is_told_with_the_reason() -> None:
    """RegisterTools and StreamTelemetry are UNIMPLEMENTED; the pool's tools are what is exposed to whoever dials a host."""
    async with served() as it:
        for call in (it.stub.RegisterTools(pb.RegisterToolsRequest()), it.stub.StreamTelemetry(iter([]))):
            told = await refusal(call)
            assert (told.code, told.reason) == (grpc.StatusCode.UNIMPLEMENTED, "unimplemented")
        exposed = await it.stub.GetExposedElixirTools(pb.GetExposedElixirToolsRequest())
        assert {"add", "count"} <= {tool.name for tool in exposed.tools}
        asked = request("add", a=2)
        answer = await it.stub.ExecuteElixirTool(pb.ExecuteElixirToolRequest(tool_name="add", parameters=asked.parameters))
        assert answer.result.value == b"3"
        await it.stub.ExecuteTool(request("remember", session="s", value="kept"))
        answer = await it.stub.ExecuteElixirTool(pb.ExecuteElixirToolRequest(session_id="s", tool_name="remember"))
        assert answer.result.value == b'"kept"'
        asked = request("blob", size=3)
        answer = await it.stub.ExecuteElixirTool(pb.ExecuteElixirToolRequest(tool_name="blob", parameters=asked.parameters))
        assert (len(answer.binary_result), answer.result.value) == (3, b"null")


@pytest.mark.parametrize(
    "text", ["\u20ac" * 5000, "\n" * 5000, "%" * 5000, "x" * 100_000, "half \ud800"], ids=["euro", "lines", "percent", "long", "half"]
)
async def test_errors_with_long_texts_reach_the_client(text: str) -> None:
    """A status travels as metadata, of which a client takes 8 KiB as they are encoded: the text is cut by that, and the rest arrives."""
    async with served(tracebacks=True) as it:
        asked = request("echo") if "half" in text else request("fail", text=text)
        if "half" in text:
            asked.tool_name = "half"
        told = await refusal(it.stub.ExecuteTool(asked))
        assert (told.code, told.reason) == (grpc.StatusCode.UNKNOWN, "tool_error")
        assert told.facts["type"] in {"ValueError", "LookupError", "KeyError", "RuntimeError"}
        assert len(told.message) > 20


async def test_parameters_that_no_channel_carries_are_the_clients_fault() -> None:
    """Half a pair of surrogates, and more levels than decoders have room for: INVALID_ARGUMENT with the parameter's name."""
    async with served() as it:
        for value in (b'"\\ud800"', b'{"\\ud800": 1}', b"[" * 400 + b"]" * 400, b"[" * 100_000):
            asked = request("echo")
            asked.parameters["value"].value = value
            told = await refusal(it.stub.ExecuteTool(asked))
            assert (told.code, told.reason, told.facts["parameter"]) == (grpc.StatusCode.INVALID_ARGUMENT, "invalid_parameter", "value")
        packed = request("echo")
        packed.parameters["value"].Pack(StringValue(value="7" * 49))
        assert json.loads((await it.stub.ExecuteTool(packed)).result.value) == int("7" * 49)


async def test_reflection_lists_the_services_and_describes_them() -> None:
    """Generic clients such as grpcurl learn the services, and the methods of BridgeService."""
    async with served() as it:
        stub = reflection_pb2_grpc.ServerReflectionStub(it.channel)
        asked = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="snakepit.bridge.BridgeService"),
        ]
        answers = [answer async for answer in stub.ServerReflectionInfo(iter(asked))]
        names = {service.name for service in answers[0].list_services_response.service}
        assert names == {"snakepit.bridge.BridgeService", "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
        assert b"ExecuteStreamingTool" in answers[1].file_descriptor_response.file_descriptor_proto[0]


async def test_health_follows_the_pools_and_leaves_first() -> None:
    """Health knows the gateway, the service and each pool; watchers hear NOT_SERVING while a call that runs still ends well."""
    serving, leaving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    async with served(drain_timeout=10.0) as it:
        health = health_pb2_grpc.HealthStub(it.channel)
        for name in ("", "main", "snakepit.bridge.BridgeService"):
            assert (await health.Check(health_pb2.HealthCheckRequest(service=name))).status == serving
        watch = health.Watch(health_pb2.HealthCheckRequest(service="main"))
        assert (await watch.read()).status == serving
        call = it.stub.ExecuteTool(request("nap", seconds=1))
        await running(it.pool)
        draining = asyncio.create_task(it.gateway.drain())
        assert (await watch.read()).status == leaving
        assert it.pool.stats().running == 1
        told = await refusal(it.stub.ExecuteTool(request("add", a=1)))
        assert (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, "pool_draining")
        assert (await call).result.value == b'"slept"'
        assert (await draining)["main"].complete
        watch.cancel()
