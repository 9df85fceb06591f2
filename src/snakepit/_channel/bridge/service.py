"""The host's half of `snakepit.bridge.BridgeService`: what foreign servers that a pool has started dial back.

One per pool, on loopback. The old protocol knows no secret: whoever names a session that this host has made up is taken for the server
that it was made up for, so sessions have names that cannot be guessed.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any, NoReturn

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.timestamp_pb2 import Timestamp

from snakepit_bridge.bridge import values
from snakepit_bridge.bridge.plain import dumps
from snakepit_bridge.grpc import snakepit_pb2 as pb
from snakepit_bridge.grpc import snakepit_pb2_grpc
from snakepit_bridge.wire.frames import HOST_CALL_BASE, Chunks, Failure, Result
from snakepit_bridge.wire.payload import TooLarge

from .specs import specs_of

#: Called with (session, number, name, arguments) of a call of a host tool; False: no call of that session runs.
OnHostCall = Callable[[str, int, str, dict[str, Any]], bool]

_OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)]
#: Calls of host tools that may be open at once.
_MOST_ASKED = 1024


class _Asked:
    """A call of a host tool: its end, and what it has yielded until then."""

    def __init__(self) -> None:
        self.end: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.items: list[Any] = []


class HostHalf(snakepit_pb2_grpc.BridgeServiceServicer):
    """Serves the servers of one pool. Lives on the pool's loop."""

    def __init__(self) -> None:
        self._sessions: dict[str, OnHostCall] = {}
        self._tools: dict[str, list[dict[str, Any]]] = {}
        self._asked: dict[int, _Asked] = {}
        self._numbers = itertools.count(HOST_CALL_BASE)
        self._server = grpc.aio.server(options=_OPTIONS)
        snakepit_pb2_grpc.add_BridgeServiceServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._started: asyncio.Task[None] = asyncio.get_running_loop().create_task(self._server.start(), name="snakepit-bridge-host")

    async def close(self) -> None:
        """Serve no more."""
        await asyncio.wait([self._started])
        await self._server.stop(0)

    def expect(self, session_id: str, on_host_call: OnHostCall) -> None:
        """A server is told to work for this session."""
        self._sessions[session_id] = on_host_call

    def forget(self, session_id: str) -> None:
        """The session is over."""
        self._sessions.pop(session_id, None)
        self._tools.pop(session_id, None)

    def tools_of(self, session_id: str) -> list[dict[str, Any]]:
        """What a server has registered."""
        return self._tools.get(session_id, [])

    def answered(self, event: Any) -> None:
        """Something has come for a call of a host tool."""
        asked = self._asked.get(event.call_id)
        if asked is not None and isinstance(event, Chunks):
            asked.items += event.payloads
        elif asked is not None and not asked.end.done():
            asked.end.set_result(event)

    # The service --------------------------------------------------------------------------------------------------------------

    async def Ping(self, request: Any, context: Any) -> Any:
        return pb.PingResponse(message=f"pong: {request.message}", server_time=_now())

    async def InitializeSession(self, request: Any, context: Any) -> Any:
        await self._known(request.session_id, context)
        return pb.InitializeSessionResponse(success=True)

    async def CleanupSession(self, request: Any, context: Any) -> Any:
        await self._known(request.session_id, context)
        return pb.CleanupSessionResponse(success=True)  # the pool ends its sessions, not its workers

    async def GetSession(self, request: Any, context: Any) -> Any:
        await self._known(request.session_id, context)
        return pb.GetSessionResponse(session_id=request.session_id, created_at=_now())

    async def Heartbeat(self, request: Any, context: Any) -> Any:
        return pb.HeartbeatResponse(server_time=_now(), session_valid=request.session_id in self._sessions)

    async def RegisterTools(self, request: Any, context: Any) -> Any:
        await self._known(request.session_id, context)
        self._tools[request.session_id] = specs_of(request.tools)
        return pb.RegisterToolsResponse(success=True, tool_ids={tool.name: tool.name for tool in request.tools})

    async def GetExposedElixirTools(self, request: Any, context: Any) -> Any:
        end = await self._ask(request.session_id, "", {}, context)
        offered = end.value if isinstance(end, Result) else []
        return pb.GetExposedElixirToolsResponse(tools=[_spec(item) for item in offered])

    async def ExecuteElixirTool(self, request: Any, context: Any) -> Any:
        try:
            arguments = values.arguments(request.parameters)
        except values.BadParameter as error:
            return pb.ExecuteElixirToolResponse(success=False, error_message=str(error))
        try:
            end = await self._ask(request.session_id, request.tool_name, arguments, context)
        except TooLarge as error:
            return pb.ExecuteElixirToolResponse(success=False, error_message=f"{error}: {error.hint}")
        if isinstance(end, Failure):
            return pb.ExecuteElixirToolResponse(success=False, error_message=str(end.info.get("message", "")))
        result = AnyMessage(type_url=values.STRING_VALUE, value=dumps(end.value))
        binary = end.value if isinstance(end.value, bytes) else b""
        return pb.ExecuteElixirToolResponse(success=True, result=result, binary_result=binary)

    async def ExecuteTool(self, request: Any, context: Any) -> Any:
        await _refuse(context, grpc.StatusCode.UNIMPLEMENTED, "ExecuteTool is a worker's to serve, not the host's")

    async def ExecuteStreamingTool(self, request: Any, context: Any) -> Any:
        await _refuse(context, grpc.StatusCode.UNIMPLEMENTED, "ExecuteStreamingTool is a worker's to serve, not the host's")

    async def StreamTelemetry(self, request_iterator: Any, context: Any) -> Any:
        await _refuse(context, grpc.StatusCode.UNIMPLEMENTED, "StreamTelemetry is a worker's to serve, not the host's")

    # Inside -----------------------------------------------------------------------------------------------------------------

    async def _known(self, session_id: str, context: Any) -> OnHostCall:
        known = self._sessions.get(session_id)
        if known is None:
            await _refuse(context, grpc.StatusCode.NOT_FOUND, "there is no such session")
        return known

    async def _ask(self, session_id: str, name: str, arguments: dict[str, Any], context: Any) -> Any:
        """Have a host tool called; its `Result` or `Failure`."""
        on_host_call = await self._known(session_id, context)
        if len(self._asked) >= _MOST_ASKED:
            await _refuse(context, grpc.StatusCode.RESOURCE_EXHAUSTED, f"{_MOST_ASKED} calls of host tools are open already")
        number = next(self._numbers)
        asked = self._asked[number] = _Asked()
        try:
            if not on_host_call(session_id, number, name, arguments):
                await _refuse(
                    context, grpc.StatusCode.FAILED_PRECONDITION, "no call of this session runs: host tools are called while one does"
                )
            end = await asked.end
            return Result(number, asked.items, {}) if isinstance(end, Result) and asked.items else end
        finally:
            del self._asked[number]


def _spec(item: dict[str, Any]) -> Any:
    kinds = [pb.ParameterSpec(name=part["name"], type="any", required=bool(part.get("required"))) for part in item.get("parameters", ())]
    return pb.ToolSpec(name=item["name"], description=item.get("description", ""), parameters=kinds)


async def _refuse(context: Any, code: grpc.StatusCode, details: str) -> NoReturn:
    await context.abort(code, details)
    raise AssertionError("abort raises")


def _now() -> Timestamp:
    stamp = Timestamp()
    stamp.GetCurrentTime()
    return stamp
