"""`snakepit.bridge.BridgeService` for clients outside: sessions and calls of the pools behind it. A translation and nothing more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, NoReturn

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.timestamp_pb2 import Timestamp

from snakepit import AsyncPool
from snakepit._pool.call import Ended
from snakepit._pool.sessions.keeper import ended
from snakepit._pool.tools import ToolSpec, unknown_tool
from snakepit.errors import GatewayUnavailable, InvalidParameter
from snakepit.remote import words
from snakepit_bridge.bridge import values
from snakepit_bridge.grpc import snakepit_pb2 as pb
from snakepit_bridge.grpc import snakepit_pb2_grpc
from snakepit_bridge.wire.frames import Chunks

from . import answers, specs
from .asked import Asked, arguments, asked_by, options, seconds_left
from .clients import Clients
from .session_counts import SessionCounts
from .settings import Limits
from .weighing import has_many_items

#: A batch of chunks of this size takes long to write (bytes).
_LONG_BYTES = 1024 * 1024


class BridgeService(snakepit_pb2_grpc.BridgeServiceServicer):  # type: ignore[misc,unused-ignore]
    """Serves several pools.

    Args:
        pools: by name. default: the name of the one that requests mean which name none.
    """

    def __init__(self, pools: Mapping[str, AsyncPool], default: str, clients: Clients, limits: Limits) -> None:
        self._pools = pools
        self._default = default
        self._limits = limits
        self._counts = SessionCounts(clients)

    # Liveness and sessions ------------------------------------------------------------------------------------------------------

    async def Ping(self, request: Any, context: Any) -> Any:
        return pb.PingResponse(message=f"pong: {request.message}", server_time=_stamp())

    async def InitializeSession(self, request: Any, context: Any) -> Any:
        asked = self._asked(context)
        session_id = asked.session_id(request.session_id)
        metadata: Any = dict(request.metadata)
        if words.WHOLE in metadata:
            metadata = _decoded(metadata[words.WHOLE])
        async with self._counts.opening(asked, session_id):
            session = await asked.pool.session(session_id, _ttl(asked), metadata).open()
        if session._made:
            context.set_trailing_metadata(((words.SESSION_CREATED, "1"),))
        return pb.InitializeSessionResponse(success=True, available_tools={spec.name: spec for spec in self._specs(asked)})

    async def GetSession(self, request: Any, context: Any) -> Any:
        asked = self._asked(context)
        session_id = asked.session_id(request.session_id)
        found = await asked.pool.session_info(session_id)
        if found is None:
            raise ended(session_id)
        metadata = values.texts(found.metadata)
        if asked.exact:
            facts = {name: getattr(found, name) for name in found.__dataclass_fields__}
            metadata[words.WHOLE] = words.whole({**facts, "id": request.session_id})
        tools = len(self._specs(asked))
        created = _stamp(found.created)
        return pb.GetSessionResponse(session_id=request.session_id, metadata=metadata, created_at=created, tool_count=tools)

    async def CleanupSession(self, request: Any, context: Any) -> Any:
        asked = self._asked(context)
        session_id = asked.session_id(request.session_id)
        was_there = await asked.pool.end_session(session_id)
        asked.client.sessions.discard((asked.pool_name, session_id))
        return pb.CleanupSessionResponse(success=was_there, resources_cleaned=int(was_there))

    async def Heartbeat(self, request: Any, context: Any) -> Any:
        asked = self._asked(context)
        valid = not request.session_id or await asked.pool._in_sessions("touch", asked.session_id(request.session_id))
        return pb.HeartbeatResponse(server_time=_stamp(), session_valid=bool(valid))

    # Calls ------------------------------------------------------------------------------------------------------------------------

    async def ExecuteTool(self, request: Any, context: Any) -> Any:
        asked = self._asked(context)
        value, facts = await self._execute(asked, request, context)
        if has_many_items(value):  # to write it takes long, and others are served meanwhile
            return await asyncio.to_thread(answers.result, value, facts, exact=asked.exact)
        return answers.result(value, facts, exact=asked.exact)

    async def ExecuteStreamingTool(self, request: Any, context: Any) -> None:
        asked = self._asked(context)
        args, told = self._prepared(asked, request, context)
        async with self._session_of(asked, told):
            stream = asked.pool.stream(request.tool_name, args, **told)
            writer, cursor = answers.ChunkWriter(request.tool_name, exact=asked.exact), stream._cursor
            async with stream:
                while True:
                    item = await stream._next_item()  # grants what has been written before: the slowest reader sets the pace
                    if isinstance(item, Chunks):
                        cursor.book(item)
                        chunks = writer.chunks(item) if item.nbytes < _LONG_BYTES else await asyncio.to_thread(writer.chunks, item)
                        for chunk in chunks:
                            await context.write(chunk)
                        continue
                    cursor.open(item)
                    if isinstance(item, Ended):
                        last = writer.end(item)
                        if last is not None:
                            await context.write(last)
                        return

    async def GetExposedElixirTools(self, request: Any, context: Any) -> Any:
        """To whoever dials a host, what is exposed are the pool's tools, as far as the client may call them."""
        return pb.GetExposedElixirToolsResponse(tools=self._specs(self._asked(context)))

    async def ExecuteElixirTool(self, request: Any, context: Any) -> Any:
        """One of those that `GetExposedElixirTools` lists."""
        asked = self._asked(context)
        call = pb.ExecuteToolRequest(
            session_id=request.session_id, tool_name=request.tool_name, parameters=request.parameters, metadata=request.metadata
        )
        value, facts = await self._execute(asked, call, context)
        binary = bytes(value) if isinstance(value, (bytes, bytearray, memoryview)) else b""
        packed = values.parameter(None if binary else value)
        spent = int(facts.get("execution_time_ms", 0))
        return pb.ExecuteElixirToolResponse(
            success=True, result=AnyMessage(type_url=packed.type_url, value=packed.value), binary_result=binary, execution_time_ms=spent
        )

    # What is not for clients outside ------------------------------------------------------------------------------------------------

    async def RegisterTools(self, request: Any, context: Any) -> NoReturn:
        raise _not_served("RegisterTools", "the tools of a pool come with its adapter")

    async def StreamTelemetry(self, request_iterator: Any, context: Any) -> NoReturn:
        raise _not_served("StreamTelemetry", "what workers report goes to the gateway's own log, metrics and traces")

    # Inside -------------------------------------------------------------------------------------------------------------------------

    def _asked(self, context: Any) -> Asked:
        return asked_by(context, self._pools, self._default)

    def _specs(self, asked: Asked) -> list[Any]:
        return specs.messages(self._allowed(asked), whole=asked.exact)

    def _check_tool(self, asked: Asked, tool: str) -> None:
        """Refuse a tool that there is not, or not for this client; the refusal names those only that it may call."""
        asked.check_tool(tool)
        if all(spec.name != tool for spec in asked.pool._started_specs()):
            raise unknown_tool(tool, [spec.name for spec in self._allowed(asked)])

    def _allowed(self, asked: Asked) -> list[ToolSpec]:
        token = asked.client.token
        return [spec for spec in asked.pool._started_specs() if token is None or token.allows_tool(spec.name)]

    async def _execute(self, asked: Asked, request: Any, context: Any) -> tuple[Any, dict[str, Any]]:
        facts: dict[str, Any] = {}
        args, told = self._prepared(asked, request, context)
        async with self._session_of(asked, told):
            value = await asked.pool.execute(request.tool_name, args, on_metadata=facts.update, **told)
        return value, facts

    def _prepared(self, asked: Asked, request: Any, context: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """A call's arguments and options, once it is known that it may be made."""
        self._check_tool(asked, request.tool_name)
        args, told = arguments(request, self._limits.json_bytes), options(asked, request)
        told["timeout"] = seconds_left(context, self._limits.call_seconds)
        return args, told

    def _session_of(self, asked: Asked, told: Mapping[str, Any]) -> contextlib.AbstractAsyncContextManager[None]:
        """Around a call: the session that it may open is counted."""
        session = told.get("session_id")
        return self._counts.opening(asked, session) if isinstance(session, str) else contextlib.nullcontext()


def _ttl(asked: Asked) -> float | None:
    text = asked.headers.get(words.SESSION_TTL)
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        raise InvalidParameter(f"the header {words.SESSION_TTL} is {text[:40]!r}; allowed is a number of seconds", field="ttl") from None


def _decoded(text: str) -> Any:
    try:
        return words.CODEC.decode(bytes.fromhex(text))
    except Exception:
        raise InvalidParameter("the session's metadata is cut short", field="metadata") from None


def _not_served(method: str, reason: str) -> GatewayUnavailable:
    return GatewayUnavailable(f"{method} is not served to clients of a gateway: {reason}", code="unimplemented")


def _stamp(seconds: float | None = None) -> Timestamp:
    stamp = Timestamp()
    if seconds is None:
        stamp.GetCurrentTime()
    else:
        stamp.FromNanoseconds(int(seconds * 1e9))
    return stamp
