"""A worker's way back to the Snakepit host that started it: introduces sessions and tools, runs host tools, beats.

All of it is bounded and none of it is on the path of a call, but for the first one of a session.
"""

import asyncio
import random
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.timestamp_pb2 import Timestamp

from ...bridge import failures, values
from ...grpc import snakepit_pb2 as pb
from ...grpc import snakepit_pb2_grpc
from ...heartbeat import HeartbeatConfig
from ...wire.frames import HostCall
from .specs import read_specs, tool_specs

#: The first sign of life: asked so often, each time for so long; between two the delay doubles up to the most (seconds).
_TRIES, _TRY_SECONDS, _FIRST_DELAY, _MAX_DELAY = 60, 1.0, 0.05, 2.0
#: After so long it is said that it does not answer (seconds).
_TELL_SECONDS = 1.5
#: What a session's first call waits for at most (seconds).
_INTRODUCE_SECONDS = 5.0
#: The host's answer to a beat is passed on; its caller gives up after ten seconds, and drops the worker (seconds).
_BEAT_SECONDS = 5.0
#: How long it is remembered what a session's host tools are (seconds).
_SPECS_SECONDS = 60.0

_SILENT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)

_OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


class HostUnreachable(Exception):
    """Nobody answers at the address."""


class BridgeHost:
    """One connection to the host. Lives on the server's loop.

    Args:
        answer: called with (call of a host tool, its value, why it gave none).
        session_of: the session of a call of this worker, by the call's number.

    Attributes:
        sessions: those that the host knows this worker serves, in order.
    """

    def __init__(
        self,
        address: str,
        worker_id: str,
        answer: Callable[[HostCall, Any, Optional[Dict[str, Any]]], None],
        session_of: Callable[[int], str],
    ) -> None:
        self._address = address
        self._worker_id = worker_id
        self._answer = answer
        self._session_of = session_of
        self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        self._stub = snakepit_pb2_grpc.BridgeServiceStub(self._channel)  # type: ignore[no-untyped-call,unused-ignore]
        self._specs: Dict[str, Tuple[float, List[Dict[str, Any]]]] = {}
        self._asked: Dict[int, asyncio.Task[None]] = {}
        self.sessions: Dict[str, None] = {}

    async def reach(self) -> None:
        """Wait until the host answers.

        Raises:
            HostUnreachable: it does not.
        """
        delay, last, began, told = _FIRST_DELAY, "", time.monotonic(), False
        for _ in range(_TRIES):
            if last and not told and time.monotonic() - began > _TELL_SECONDS:
                told = True
                print("snakepit: no host answers at %s yet (%s); it is asked %d times" % (self._address, last, _TRIES), flush=True)
            try:
                await self._stub.Ping(pb.PingRequest(message="connection_test"), timeout=_TRY_SECONDS)
            except grpc.RpcError as error:
                last = _said(error)
            else:
                return
            await asyncio.sleep(delay)
            delay = min(2 * delay, _MAX_DELAY)
        raise HostUnreachable("no host answers at %s: %s" % (self._address, last))

    async def introduce(self, session_id: str, tools: Any) -> None:
        """Tell the host of a session, and which tools this worker has for it. What it does not take is no reason not to serve."""
        registrations = tool_specs(tools, pb.ToolRegistration)
        try:
            await self._stub.InitializeSession(pb.InitializeSessionRequest(session_id=session_id), timeout=_INTRODUCE_SECONDS)
            request = pb.RegisterToolsRequest(session_id=session_id, tools=registrations, worker_id=self._worker_id)
            await self._stub.RegisterTools(request, timeout=_INTRODUCE_SECONDS)
        except grpc.RpcError as error:
            print("snakepit: the host takes no tools for session %r: %s" % (session_id, _said(error)))
        self.sessions[session_id] = None

    async def beat(self, session_id: str) -> bool:
        """Does the host still know the session? Also True when it cannot be asked: only its own word ends a worker."""
        return await self._beaten(session_id) is not False

    async def beats(self, settings: HeartbeatConfig, lost: Callable[[], None]) -> None:
        """Beat until cancelled, once there is a session. `lost` is called when the host has not answered so often in a row."""
        missed = 0
        while True:
            await asyncio.sleep((settings.interval_ms + random.uniform(0, settings.jitter_ms)) / 1e3)  # noqa: S311 - spreads load
            session_id = next(reversed(list(self.sessions)), None)  # the newest: the others may have ended there
            if session_id is None:
                continue
            missed = missed + 1 if await self._beaten(session_id, settings.timeout_ms / 1e3) is None else 0
            if missed >= settings.max_missed_heartbeats > 0:
                lost()
                missed = 0

    async def _beaten(self, session_id: str, timeout: float = _BEAT_SECONDS) -> Optional[bool]:
        stamp = Timestamp()
        stamp.GetCurrentTime()
        try:
            answer = await self._stub.Heartbeat(pb.HeartbeatRequest(session_id=session_id, client_time=stamp), timeout=timeout)
        except grpc.RpcError as error:  # whoever says no has answered
            return None if error.code() in _SILENT else True
        return bool(answer.session_valid)

    # Host tools -----------------------------------------------------------------------------------------------------------------

    def call(self, call: HostCall) -> None:
        """A tool calls a host tool."""
        task = asyncio.get_event_loop().create_task(self._run(call))
        self._asked[call.call_id] = task
        task.add_done_callback(lambda _task: self._asked.pop(call.call_id, None))

    def cancel(self, call_id: int) -> None:
        """The tool has no more use for the answer."""
        task = self._asked.get(call_id)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """Let go of the connection."""
        for task in list(self._asked.values()):
            task.cancel()
        await self._channel.close(0.2)

    async def _run(self, call: HostCall) -> None:
        value, failure = None, None
        try:
            session_id = self._session_of(int(call.options.get("parent") or 0))
            timeout = call.options.get("timeout")
            if not call.name:
                value = await self._offered(session_id)
            else:
                value, failure = await self._execute(session_id, call, None if timeout is None else float(timeout))
        except grpc.RpcError as error:
            code = "unknown_tool" if error.code() is grpc.StatusCode.NOT_FOUND else "host_tool_error"
            failure = _failure(code, "", _said(error))
        except (values.BadParameter, TypeError) as error:
            failure = _failure("invalid_parameter", "", str(error))
        except asyncio.CancelledError:
            failure = _failure("cancelled", "", "the call of the host tool was cancelled")
            raise
        except Exception as error:  # whatever it is: without a failure the tool would take it for an answer of None
            failure = _failure("host_tool_error", type(error).__name__, str(error))
        finally:
            self._answer(call, value, failure)

    async def _execute(self, session_id: str, call: HostCall, timeout: Optional[float]) -> Tuple[Any, Optional[Dict[str, Any]]]:
        named = await self._named(session_id, call)
        parameters = {name: AnyMessage(**values.parameter(value)._asdict()) for name, value in named.items()}
        request = pb.ExecuteElixirToolRequest(session_id=session_id, tool_name=call.name, parameters=parameters)
        answer = await self._stub.ExecuteElixirTool(request, timeout=timeout)
        if not answer.success:
            told = failures.read_error(answer.error_message)
            return None, _failure("host_tool_error", told["type"] or "HostToolError", told["message"], told["traceback"])
        return values.value_of(answer.result.type_url, answer.result.value, answer.binary_result), None

    async def _named(self, session_id: str, call: HostCall) -> Dict[str, Any]:
        """Its arguments by name: what is given by position gets the names that the host says."""
        positional, named = list(call.args.get("args") or ()), dict(call.args.get("kwargs") or {})
        if not positional:
            return named
        spec = next((item for item in await self._offered(session_id) if item["name"] == call.name), None)
        names = [item["name"] for item in (spec or {}).get("parameters", ())]
        if len(positional) > len(names):
            raise TypeError("host tool %r has %d parameters (%s); give arguments by name" % (call.name, len(names), ", ".join(names)))
        return {**dict(zip(names, positional)), **named}

    async def _offered(self, session_id: str) -> List[Dict[str, Any]]:
        at, known = self._specs.get(session_id, (float("-inf"), []))
        if time.monotonic() - at > _SPECS_SECONDS:
            answer = await self._stub.GetExposedElixirTools(
                pb.GetExposedElixirToolsRequest(session_id=session_id), timeout=_INTRODUCE_SECONDS
            )
            known = read_specs(answer.tools)
            self._specs = {**({} if len(self._specs) > 100 else self._specs), session_id: (time.monotonic(), known)}
        return known


def _failure(code: str, kind: str, message: str, traceback: str = "") -> Dict[str, Any]:
    return {"code": code, "type": kind, "message": message, "traceback": traceback, "chunk": None}


def _said(error: Any) -> str:
    return "%s: %s" % (error.code().name, error.details())
