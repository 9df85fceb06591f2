"""`snakepit.bridge.BridgeService` as a worker serves it: calls, sessions, heartbeats, telemetry, all on the one runtime.

A translation and nothing more: what comes is decoded, run by `LocalHost`, and encoded as Snakepit's own worker does. Lives on the
server's loop.
"""

import asyncio
import time
from typing import Any, AsyncIterator, Dict, NoReturn, Optional

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.timestamp_pb2 import Timestamp

from ...bridge import failures, values
from ...grpc import snakepit_pb2 as pb
from ...grpc import snakepit_pb2_grpc
from ...wire.frames import Chunks, Failure, Result
from ...wire.plain import Unserialisable
from ..local_host import LocalCall, LocalHost
from .host import BridgeHost
from .specs import tool_specs
from .telemetry import Telemetry

_CORRELATION_HEADER = "x-snakepit-correlation-id"
#: Of sessions that were opened and never ended, so many are remembered; the oldest is forgotten.
_MOST_SESSIONS = 10_000


class BridgeService(snakepit_pb2_grpc.BridgeServiceServicer):  # type: ignore[misc,unused-ignore]
    """Serves one worker.

    Args:
        local: runs the calls. host: the way back to who started this worker; None: nobody to dial.
    """

    def __init__(self, local: LocalHost, host: Optional[BridgeHost], telemetry: Telemetry) -> None:
        self._local = local
        self._host = host
        self._telemetry = telemetry
        self._sessions: Dict[str, Timestamp] = {}
        self._metadata: Dict[str, Dict[str, str]] = {}
        self._introduced: Dict[str, asyncio.Task[None]] = {}

    # Liveness: answered at once, also while a tool computes ------------------------------------------------------------------

    async def Ping(self, request: Any, context: Any) -> Any:
        return pb.PingResponse(message="Pong from Python: %s" % request.message, server_time=_now())

    async def Heartbeat(self, request: Any, context: Any) -> Any:
        valid = True if self._host is None else await self._host.beat(request.session_id)
        return pb.HeartbeatResponse(server_time=_now(), session_valid=valid)

    # Sessions -----------------------------------------------------------------------------------------------------------------

    async def InitializeSession(self, request: Any, context: Any) -> Any:
        if not request.session_id:
            return pb.InitializeSessionResponse(success=False, error_message="session_id is empty; allowed is any other text")
        self._know(request.session_id, dict(request.metadata))
        return pb.InitializeSessionResponse(
            success=True, available_tools={spec.name: spec for spec in tool_specs(self._tools, pb.ToolSpec)}
        )

    async def GetSession(self, request: Any, context: Any) -> Any:
        session_id = request.session_id
        if session_id not in self._sessions:
            await _abort(context, grpc.StatusCode.NOT_FOUND, "there is no session %r" % session_id)
        return pb.GetSessionResponse(
            session_id=session_id,
            metadata=self._metadata[session_id],
            created_at=self._sessions[session_id],
            tool_count=len(self._tools),
        )

    async def CleanupSession(self, request: Any, context: Any) -> Any:
        there = self._sessions.pop(request.session_id, None) is not None
        self._metadata.pop(request.session_id, None)
        self._forget(request.session_id)
        self._local.end_session(request.session_id, "it was ended")
        return pb.CleanupSessionResponse(success=True, resources_cleaned=int(there))

    # Calls --------------------------------------------------------------------------------------------------------------------

    async def ExecuteTool(self, request: Any, context: Any) -> Any:
        began = time.perf_counter()
        try:
            call = await self._begin(request, context, stream=False)
        except (values.BadParameter, Unserialisable) as error:
            return _refused(request, "ValueError", str(error))
        try:
            end = await call.end()
        finally:
            call.close()
        spent = int((time.perf_counter() - began) * 1000)
        self._telemetry.tool_ended(request.tool_name, time.perf_counter() - began, end, _correlation(context))
        if isinstance(end, Failure):
            info = end.info
            text = failures.error_text(_kind(info), str(info.get("message", "")), str(info.get("traceback") or ""), _where(request))
            return pb.ExecuteToolResponse(success=False, error_message=text, execution_time_ms=spent)
        packed, binary = values.result(end.value)
        return pb.ExecuteToolResponse(
            success=True, result=AnyMessage(type_url=packed.type_url, value=packed.value), binary_result=binary, execution_time_ms=spent
        )

    async def ExecuteStreamingTool(self, request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            call = await self._begin(request, context, stream=True)
        except (values.BadParameter, Unserialisable) as error:
            await _abort(context, grpc.StatusCode.INTERNAL, failures.status_text("ValueError", str(error), "", _where(request)))
        began, number, tool = time.perf_counter(), 0, request.tool_name
        try:
            while True:
                event = await call.next()
                if isinstance(event, Chunks):
                    last = len(event.payloads) - 1
                    for at, payload in enumerate(event.payloads):
                        number += 1
                        extra = event.extra if at == last else None
                        yield _chunk(tool, number, payload, extra)
                    call.taken(event)
                    continue
                self._telemetry.tool_ended(tool, time.perf_counter() - began, event, _correlation(context))
                if isinstance(event, Failure):
                    info = event.info
                    text = str(info.get("message", "")), str(info.get("traceback") or "")
                    await _abort(context, grpc.StatusCode.INTERNAL, failures.status_text(_kind(info), *text, _where(request)))
                if not event.metadata.get("final_sent"):
                    yield _final(tool, number + 1, event)
                return
        finally:
            call.close()

    async def _begin(self, request: Any, context: Any, *, stream: bool) -> LocalCall:
        """Start a call.

        Raises:
            BadParameter: a parameter is not what it should be. Unserialisable: an argument cannot travel.
        """
        for name, text in request.metadata.items():
            if name.startswith("binary_format:") and text == "pickle":
                raise values.BadParameter(name.partition(":")[2], "is pickled, which runs code when it is read: send it as bytes or JSON")
        args = values.arguments(request.parameters)
        session_id = request.session_id
        if session_id and self._host is not None:
            await self._introduce(session_id, self._host)
        if session_id and session_id not in self._sessions:
            self._know(session_id, {})
        options: Dict[str, Any] = {"stream": stream, "cid": _correlation(context)}
        remaining = context.time_remaining()
        if remaining is not None:
            options["timeout"] = max(0.0, remaining)
        if session_id:
            options["session"] = {"id": session_id, "version": 0, "metadata": self._metadata.get(session_id, {})}
        if request.binary_parameters:
            options["binary"] = dict(request.binary_parameters)
        self._telemetry.tool_began(request.tool_name, options["cid"])
        return self._local.call(request.tool_name, args, **options)

    async def _introduce(self, session_id: str, host: BridgeHost) -> None:
        """Once for each session; all calls of it wait for that, and the one that was first may leave meanwhile."""
        task = self._introduced.get(session_id)
        if task is None:
            task = self._introduced[session_id] = asyncio.get_event_loop().create_task(host.introduce(session_id, self._tools))
        await asyncio.shield(task)

    def _forget(self, session_id: str) -> None:
        self._introduced.pop(session_id, None)
        if self._host is not None:
            self._host.sessions.pop(session_id, None)

    # What a worker does not serve ------------------------------------------------------------------------------------------------

    async def RegisterTools(self, request: Any, context: Any) -> NoReturn:
        await _unimplemented(context, "RegisterTools")

    async def GetExposedElixirTools(self, request: Any, context: Any) -> NoReturn:
        await _unimplemented(context, "GetExposedElixirTools")

    async def ExecuteElixirTool(self, request: Any, context: Any) -> NoReturn:
        await _unimplemented(context, "ExecuteElixirTool")

    # Telemetry -----------------------------------------------------------------------------------------------------------------

    async def StreamTelemetry(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:
        await context.send_initial_metadata(())  # at once: the host waits for it before it says what it wants
        reader = asyncio.get_event_loop().create_task(self._telemetry.obey(request_iterator))
        try:
            async for event in self._telemetry.events():
                yield event
        finally:
            reader.cancel()

    @property
    def _tools(self) -> Any:
        return self._local.hello.get("tools", ())

    def _know(self, session_id: str, metadata: Dict[str, str]) -> None:
        while len(self._sessions) >= _MOST_SESSIONS:
            oldest = next(iter(self._sessions))
            del self._sessions[oldest]
            self._metadata.pop(oldest, None)
            self._forget(oldest)
            self._local.end_session(oldest, "too many sessions are open")
        self._sessions.setdefault(session_id, _now())
        self._metadata[session_id] = {**self._metadata.get(session_id, {}), **metadata}


def _chunk(tool: str, number: int, payload: Any, extra: Optional[Dict[str, Any]]) -> Any:
    final = bool(isinstance(payload, dict) and payload.get("is_final"))
    chunk = pb.ToolChunk(chunk_id="%s-%d" % (tool, number), data=values.chunk(payload), is_final=final)
    if extra is not None:
        chunk.is_final = final or bool(extra.get("final"))
        chunk.metadata.update(values.texts(extra.get("metadata") or {}))
    return chunk


def _final(tool: str, number: int, end: Result) -> Any:
    """The last chunk of a stream whose tool marked none: what it returned, if anything."""
    facts: Dict[str, Any] = {name: end.metadata[name] for name in ("execution_time_ms", "chunks") if name in end.metadata}
    return pb.ToolChunk(
        chunk_id="%s-%d" % (tool, number), data=values.chunk(end.value), is_final=True, metadata=values.texts(facts) if facts else None
    )


def _refused(request: Any, kind: str, message: str) -> Any:
    return pb.ExecuteToolResponse(success=False, error_message=failures.error_text(kind, message, "", _where(request)))


def _kind(info: Dict[str, Any]) -> str:
    """The exception's class; of what the runtime itself found wrong, its code."""
    return str(info.get("type") or info.get("code") or "")


def _where(request: Any) -> Dict[str, Any]:
    return {"tool_name": request.tool_name, "session_id": request.session_id}


def _correlation(context: Any) -> str:
    for name, text in context.invocation_metadata() or ():
        if name == _CORRELATION_HEADER:
            return str(text)
    return ""


async def _abort(context: Any, code: Any, details: str) -> NoReturn:
    await context.abort(code, details)
    raise AssertionError("abort raises")


async def _unimplemented(context: Any, method: str) -> NoReturn:
    await _abort(context, grpc.StatusCode.UNIMPLEMENTED, "%s is the host's to serve, not a worker's" % method)


def _now() -> Timestamp:
    stamp = Timestamp()
    stamp.GetCurrentTime()
    return stamp
