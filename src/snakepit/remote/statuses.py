"""Errors on their way through a gateway: from the tree of `errors` to `google.rpc.Status` with an `ErrorInfo`, and back.

What travels is the error's own text and the facts named here. Tracebacks, stacks and what a worker printed stay behind.
"""

from __future__ import annotations

import contextlib
import json
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from snakepit import errors
from snakepit.errors import SnakepitError, ToolError
from snakepit_bridge.bridge.failures import encoded_size, sound

from .words import MOST_FACT, MOST_MESSAGE, as_text

DOMAIN = "snakepit"
#: The trailing metadata of rich statuses, in all languages.
DETAILS = "grpc-status-details-bin"

#: The facts of an error that clients are told.
_TOLD = (
    "allowed", "chunk", "chunks", "exit_code", "expected", "failures", "field", "got", "limit", "max_payload", "parameter", "path",
    "queue_size", "retry_after", "rung", "scope", "session_id", "signal", "size", "tool", "value_type", "waiting", "what", "worker_id",
)  # fmt: skip
#: Those of them that are numbers.
_NUMBERS = ("allowed", "chunk", "chunks", "exit_code", "failures", "max_payload", "queue_size", "retry_after", "size", "waiting")
_MOST_TRACEBACK = 2_000

_Code = grpc.StatusCode
#: The first that fits.
_STATUSES: tuple[tuple[type[SnakepitError], grpc.StatusCode], ...] = (
    (errors.UnknownTool, _Code.NOT_FOUND),
    (errors.CallError, _Code.INVALID_ARGUMENT),
    (errors.LimitExceeded, _Code.RESOURCE_EXHAUSTED),
    (errors.AccessDenied, _Code.PERMISSION_DENIED),
    (errors.GatewayUnavailable, _Code.UNAVAILABLE),
    (errors.QueueFull, _Code.RESOURCE_EXHAUSTED),
    (errors.QueueTimeout, _Code.DEADLINE_EXCEEDED),
    (errors.NestingTooDeep, _Code.FAILED_PRECONDITION),
    (errors.PoolError, _Code.UNAVAILABLE),
    (errors.SessionEnded, _Code.NOT_FOUND),
    (errors.SessionLost, _Code.FAILED_PRECONDITION),
    (errors.SessionQuotaExceeded, _Code.RESOURCE_EXHAUSTED),
    (errors.ProgramQuotaExceeded, _Code.RESOURCE_EXHAUSTED),
    (errors.SessionError, _Code.UNAVAILABLE),
    (errors.WorkerTimeout, _Code.DEADLINE_EXCEEDED),
    (errors.CallCancelled, _Code.CANCELLED),
    (errors.PayloadTooLarge, _Code.RESOURCE_EXHAUSTED),
    (errors.ToolError, _Code.UNKNOWN),
    (errors.SnakepitError, _Code.INTERNAL),
)
#: Other codes of the same classes.
_BY_CODE = {"unauthenticated": _Code.UNAUTHENTICATED, "unimplemented": _Code.UNIMPLEMENTED, "unknown_pool": _Code.NOT_FOUND}
_CLASSES = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, SnakepitError)}
#: What a status means that no gateway of ours has made: a proxy's, or gRPC's own.
_FOREIGN: dict[grpc.StatusCode, type[SnakepitError]] = {
    _Code.DEADLINE_EXCEEDED: errors.WorkerTimeout,
    _Code.CANCELLED: errors.CallCancelled,
    _Code.UNAUTHENTICATED: errors.AccessDenied,
    _Code.PERMISSION_DENIED: errors.AccessDenied,
    _Code.RESOURCE_EXHAUSTED: errors.LimitExceeded,
    _Code.UNAVAILABLE: errors.GatewayUnavailable,
    _Code.UNIMPLEMENTED: errors.GatewayUnavailable,
}


#: What gRPC calls a header is an argument here, and an option of the command.
_OUR_WORDS = {
    "give it in the header 'authorization', after the word Bearer": "give token=... (`snakepit call` takes SNAKEPIT_GATEWAY_TOKEN)",
    "name one in the header x-snakepit-pool": "name one by pool=... (`snakepit call`: --pool)",
}


def status_code(error: SnakepitError) -> grpc.StatusCode:
    """The code of the status that tells of an error."""
    return _BY_CODE.get(error.code) or next(code for kind, code in _STATUSES if isinstance(error, kind))


def rich_status(error: SnakepitError, *, tracebacks: bool = False) -> tuple[grpc.StatusCode, str, bytes]:
    """(code, message, the bytes of its `google.rpc.Status`).

    Args:
        tracebacks: tell the worker's traceback too.
    """
    code, message = status_code(error), _cut(error.message, MOST_MESSAGE)
    facts = {name: _cut(_told(error.details[name]), MOST_FACT) for name in _TOLD if error.details.get(name) not in (None, "")}
    facts["class"] = next((kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _CLASSES), "SnakepitError")
    if error.hint:
        facts["hint"] = _cut(error.hint, MOST_FACT)
    if isinstance(error, ToolError):
        facts["type"] = _cut(error.type, MOST_FACT)
        if error.chunk is not None:
            facts["chunk"] = str(error.chunk)
        if tracebacks and error.traceback:
            facts["traceback"] = sound(error.traceback[-_MOST_TRACEBACK:])
    status = status_pb2.Status(code=code.value[0], message=message)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=error.code, domain=DOMAIN, metadata=facts))
    return code, message, status.SerializeToString()


def error_from(code: grpc.StatusCode, message: str, details: bytes | None) -> SnakepitError:
    """The error that a status tells of; of a status without details of ours, the nearest there is."""
    info = _info_in(details) if details else None
    if info is None:
        kind = _FOREIGN.get(code, SnakepitError)
        if code is _Code.UNAVAILABLE:
            hint = "is `snakepit serve` running there, and do both sides use TLS, or neither?"
            return kind(f"the gateway cannot be reached: {_cut(message, MOST_FACT)}", hint=hint)
        if code is _Code.RESOURCE_EXHAUSTED and "larger than max" in message:  # gRPC's own words
            hint = "limits.message_bytes of the gateway bounds requests too: send it in parts, or have the limit raised"
            return kind(_cut(message, MOST_MESSAGE), hint=hint, limit="message_bytes")
        own = {"rung": "pending"} if kind is errors.WorkerTimeout else {}
        if code is _Code.DEADLINE_EXCEEDED:
            message = f"the call did not end in time: {message}"
        return kind(message or f"the gateway answered {code.name}", **own)
    facts: dict[str, Any] = dict(info.metadata)
    kind = _CLASSES.get(facts.pop("class", ""), SnakepitError)
    hint = _in_python(facts.pop("hint", ""))
    for name in _NUMBERS:
        if name in facts:
            with contextlib.suppress(ValueError):
                facts[name] = json.loads(facts[name])
    if issubclass(kind, ToolError):
        named: dict[str, Any] = {name: facts.pop(name) for name in ("type", "traceback", "chunk") if name in facts}
        return kind(message, code=info.reason, hint=hint, **named, **facts)
    return kind(message, code=info.reason, hint=hint, **facts)


def _info_in(details: bytes) -> error_details_pb2.ErrorInfo | None:
    with contextlib.suppress(Exception):  # whatever another server puts there
        for item in status_pb2.Status.FromString(details).details:
            info = error_details_pb2.ErrorInfo()
            if item.Unpack(info) and info.domain == DOMAIN:
                return info
    return None


def _in_python(hint: str) -> str:
    """A hint in the words of whoever reads it here: it was written for clients in any language."""
    for theirs, ours in _OUR_WORDS.items():
        hint = hint.replace(theirs, ours)
    return hint


def _told(value: Any) -> str:
    return value if isinstance(value, str) else as_text(value)


def _cut(text: str, most: int) -> str:
    """At most so many bytes as a status carries them: what is no printable ASCII takes three for each of its bytes."""
    if len(text) <= most and text.isascii() and text.isprintable():
        return text
    text = sound(text[:most])
    size, kept = 0, 0
    for char in text:
        size += encoded_size(char)
        if size > most - 3:
            break
        kept += 1
    return text if kept == len(text) and len(text) < most else text[:kept] + "..."
