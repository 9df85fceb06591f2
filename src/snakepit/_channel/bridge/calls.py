"""The calls that a foreign server runs for one worker's channel: an RPC each, and frames of what it answers."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage

from snakepit_bridge.bridge import failures, values
from snakepit_bridge.grpc import snakepit_pb2 as pb
from snakepit_bridge.wire import frames
from snakepit_bridge.wire.payload import CODE, TooLarge

from .frames import ForeignMultiplexer

_OUR_CODES = ("unknown_tool", "tool_streams")
_CORRELATION_HEADER = "x-snakepit-correlation-id"
#: Status codes of a server that is not there any more; what it ran is told by its end.
GONE = (grpc.StatusCode.UNAVAILABLE,)


@dataclasses.dataclass(slots=True, eq=False)
class _Running:
    """One call: its RPC, once that has begun, and what a stream waits for."""

    session_id: str
    rpc: Any = None
    cancelled: bool = False
    credit: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)


class BridgeCalls:
    """Runs calls at one server.

    Args:
        mux: takes what is answered; `wake` when it has.
        broken: called when the server does not answer any more.
    """

    def __init__(
        self, stub: Any, mux: ForeignMultiplexer, wake: Callable[[], None], broken: Callable[[grpc.aio.AioRpcError], None]
    ) -> None:
        self._stub = stub
        self._mux = mux
        self._wake = wake
        self._broken = broken
        self._running: dict[int, _Running] = {}

    @property
    def open(self) -> int:
        """How many have not ended."""
        return len(self._running)

    def newest_of(self, session_id: str) -> int | None:
        """The call of a session that was begun last; None: none of it runs."""
        return next((call_id for call_id, run in reversed(self._running.items()) if run.session_id == session_id), None)

    def credit(self, call_id: int) -> None:
        """A stream may go on."""
        run = self._running.get(call_id)
        if run is not None:
            run.credit.set()

    def cancel(self, call_id: int) -> None:
        """Give a call up. What the server does then is not known: no end is told, and after a while its worker is ended."""
        run = self._running.get(call_id)
        if run is not None:
            run.cancelled = True
            run.credit.set()
            if run.rpc is not None:
                run.rpc.cancel()

    async def run(self, call: frames.Call, session_id: str) -> None:
        """Ask, and answer; returns when the call has ended, or has been given up."""
        run = self._running[call.call_id] = _Running(session_id)
        told = False
        try:
            request, options = _request(call, session_id)
            if call.options.get("stream"):
                run.rpc = self._stub.ExecuteStreamingTool(request, **options)
                await self._stream(call, run)
            else:
                run.rpc = self._stub.ExecuteTool(request, **options)
                self._answer(call.call_id, await run.rpc)
            told = True
        except grpc.aio.AioRpcError as error:
            told = self._failed(call.call_id, run, error)
        except asyncio.CancelledError:
            if not run.cancelled:
                raise
        except Exception as error:  # values that nothing carries, and nonsense: this call's, and no other's
            if run.rpc is not None:
                run.rpc.cancel()
            told = not run.cancelled
            if told and isinstance(error, TooLarge):
                chunk = self._mux.chunks_sent(call.call_id) if error.what == "chunk" else None
                self._mux.error(call.call_id, {**_failure(CODE, "", str(error)), **error.facts, "chunk": chunk})
            elif told:
                reason = f"what goes to the server, or comes from it, cannot be carried: {type(error).__name__}: {error}"
                self._mux.error(call.call_id, _failure("protocol_error", "", failures.sound(reason)))
        finally:
            if told or not run.cancelled:
                self._running.pop(call.call_id, None)
            self._wake()

    def _answer(self, call_id: int, answer: Any) -> None:
        if _read(answer).success:
            said = answer.HasField("result") or answer.binary_result
            value = values.value_of(answer.result.type_url, answer.result.value, answer.binary_result) if said else None
            self._mux.result(call_id, value, {"execution_time_ms": float(answer.execution_time_ms)})
        else:
            self._mux.error(call_id, _told_failure(answer.error_message))

    def refused(self, call_id: int, error: grpc.aio.AioRpcError) -> None:
        """A call's session was not opened: that is its end."""
        self._mux.error(call_id, _failure("tool_error", f"grpc.{error.code().name}", failures.sound(f"no session: {error.details()}")))
        self._wake()

    async def _stream(self, call: frames.Call, run: _Running) -> None:
        began, final = time.perf_counter(), False
        outflow = self._mux.outflow(call.call_id)
        async for payload, extra in _chunks(run.rpc):
            if outflow is None or run.cancelled:
                return
            final = bool(extra and extra.get("final"))
            if final and extra is not None:
                extra["metadata"] = {**extra.get("metadata", {}), "execution_time_ms": _since(began), "chunks": outflow.sent + 1}
            item = self._mux.codec.encode_value(payload)
            while not outflow.offer(item, extra):
                run.credit.clear()
                await run.credit.wait()
            self._wake()
        facts = {"streamed": True, "final_sent": final, "execution_time_ms": _since(began), "chunks": outflow.sent if outflow else 0}
        self._mux.result(call.call_id, None, facts)

    def _failed(self, call_id: int, run: _Running, error: grpc.aio.AioRpcError) -> bool:
        """The RPC ended with an error: is that the call's end?"""
        if run.cancelled:
            return False
        if error.code() in GONE:
            self._broken(error)
            return False
        if error.code() is grpc.StatusCode.INTERNAL:
            failure = _told_failure(error.details() or "")
        else:
            failure = _failure("tool_error", f"grpc.{error.code().name}", failures.sound(error.details() or ""))
        self._mux.error(call_id, failure)
        return True


async def _chunks(rpc: Any) -> AsyncIterator[tuple[Any, dict[str, Any] | None]]:
    """What a stream gives: (payload, what goes beside it). An empty final chunk is the end and nothing else."""
    async for chunk in rpc:
        if _read(chunk).is_final and not chunk.data:
            return
        extra: dict[str, Any] = {}
        if chunk.metadata:
            extra["metadata"] = dict(chunk.metadata)
        payload = _payload(chunk.data)
        if chunk.is_final:
            extra["final"] = True
        yield payload, extra or None
        if chunk.is_final:
            return


def _read(message: Any) -> Any:
    """gRPC gives None where it could not read one.

    Raises:
        ValueError: it could not.
    """
    if message is None:
        raise ValueError("the answer is no message of BridgeService")
    return message


def _payload(data: bytes) -> Any:
    """JSON, else the bytes as they are."""
    if not data:
        return None
    try:
        return json.loads(data)
    except ValueError:
        return data


def _request(call: frames.Call, session_id: str) -> tuple[Any, dict[str, Any]]:
    correlation_id = str(call.options.get("cid", ""))
    request = pb.ExecuteToolRequest(
        session_id=session_id,
        tool_name=call.tool,
        parameters={name: AnyMessage(**values.parameter(value)._asdict()) for name, value in call.args.items()},
        metadata={"correlation_id": correlation_id},
        stream=bool(call.options.get("stream")),
        binary_parameters=call.options.get("binary") or {},
    )
    return request, {"timeout": call.options.get("timeout"), "metadata": ((_CORRELATION_HEADER, correlation_id),)}


def _told_failure(text: str) -> dict[str, Any]:
    told = failures.read_error(text)
    if told["type"] in _OUR_CODES:  # a worker of ours says what its runtime found wrong by that code, as no tool has raised
        return _failure(told["type"], "", told["message"])
    return _failure("tool_error", told["type"] or "Exception", told["message"], told["traceback"])


def _failure(code: str, kind: str, message: str, traceback: str = "") -> dict[str, Any]:
    return {"code": code, "type": kind, "message": message, "traceback": traceback, "chunk": None}


def _since(began: float) -> float:
    return (time.perf_counter() - began) * 1e3
