"""Calls as messages for a gateway, and its answers as values. Pure; both faces of the client use it."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping
from typing import Any

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage

from snakepit._api.arguments import checked_call
from snakepit._api.options import SessionHandle, check_option_names, id_in
from snakepit._pool.call import Ended
from snakepit._pool.tools import ToolSpec, parse_tool_specs
from snakepit._sessions.records import check_session_id
from snakepit.config import check_affinity
from snakepit.errors import ChannelError, InvalidParameter, SerializationError, SnakepitError
from snakepit.retries import check_retry
from snakepit_bridge.grpc import snakepit_pb2 as pb
from snakepit_bridge.wire.frames import Chunks
from snakepit_bridge.wire.plain import Unserialisable

from . import statuses, words

Headers = tuple[tuple[str, str], ...]


@dataclasses.dataclass(slots=True)
class RemoteCall:
    """One call, as far as its client knows it: what a stream's cursor asks of a call."""

    tool: str
    began: float = dataclasses.field(default_factory=time.monotonic)
    worker_id: str = "the gateway"
    chunks: int = 0

    def where(self) -> dict[str, Any]:
        """The gateway has told it already."""
        return {}


def prepared(
    owner: Any, tools: Mapping[str, ToolSpec], tool: str, args: Any, options: Mapping[str, Any], *, streaming: bool
) -> tuple[Any, Headers]:
    """A call's message, and the headers that belong to it alone.

    Raises:
        UnknownTool, InvalidParameter, InvalidBinaryParameter, WrongCallStyle, SerializationError: something is wrong with the call.
        TypeError: an option of an unknown name.
    """
    check_option_names(options, streaming=streaming)
    sent, binary = checked_call(tools, tool, args, options.get("binary_parameters"), streaming=streaming)
    request = pb.ExecuteToolRequest(tool_name=tool, stream=streaming, binary_parameters=binary)
    for name, value in sent.items():
        request.parameters[name].CopyFrom(AnyMessage(type_url=words.EXACT, value=encoded(value, f"args[{name!r}]", tool)))
    headers: list[tuple[str, str]] = []
    session, affinity = options.get("session_id"), options.get("affinity")
    if isinstance(session, SessionHandle):
        request.session_id = id_in(owner, session)
        affinity = affinity or session.affinity
        headers.append((words.SESSION_OPEN, "1"))
    elif session is not None:
        request.session_id = check_session_id(session)
    elif affinity is not None:
        raise InvalidParameter("affinity is given without session_id", hint="name the session that the call belongs to", field="affinity")
    if affinity is not None:
        headers.append((words.AFFINITY, check_affinity("affinity", affinity, InvalidParameter)))
    if options.get("retry") not in (None, True):
        policy = check_retry("retry", options["retry"], InvalidParameter)
        headers.append((words.RETRY, words.as_text(dataclasses.asdict(policy) if policy is not None else False)))
    return request, tuple(headers)


def encoded(value: Any, what: str, tool: str = "") -> bytes:
    """A value as it travels.

    Raises:
        SerializationError: it cannot.
    """
    try:
        return words.CODEC.encode_value(value)
    except Unserialisable as error:
        hint = "pass None, bool, int, float, str, bytes, list or dict"
        message = f"{what}{error.path} cannot travel: it is a {error.type_name}: {error.reason}"
        raise SerializationError(message, hint=hint, path=error.path, value_type=error.type_name, tool=tool) from None
    except RecursionError:
        raise SerializationError(f"{what} cannot travel: it is nested too deep, or contains itself", tool=tool) from None


def answer(response: Any) -> tuple[Any, dict[str, Any]]:
    """A unary call's (value, facts about the run).

    Raises:
        ChannelError: it is not what a gateway of ours answers.
    """
    if response.result.type_url != words.EXACT:
        raise _not_ours("an answer")
    facts = words.read_whole(response.metadata[words.EXTRA]) if words.EXTRA in response.metadata else {}
    return words.CODEC.decode(response.result.value), facts


def item(message: Any) -> Chunks | Ended:
    """A stream's message, as a pool's own streams have it.

    Raises:
        ChannelError: it is not what a gateway of ours sends.
    """
    try:
        payload = words.CODEC.decode(message.data)
        if words.ENDED in message.metadata:
            return Ended(payload, words.read_whole(message.metadata[words.ENDED]))
        extra = words.read_whole(message.metadata[words.EXTRA]) if words.EXTRA in message.metadata else None
    except Exception as error:
        raise _not_ours("a chunk") from error
    return Chunks(0, 0, [payload], len(message.data), extra)


def specs_in(response: Any) -> dict[str, ToolSpec]:
    """The tools that a gateway has listed, by name.

    Raises:
        ChannelError: it is none of ours.
    """
    try:
        raw = [json.loads(tool.metadata[words.WHOLE]) for tool in response.tools]
    except (KeyError, ValueError) as error:
        raise _not_ours("the list of tools") from error
    return {spec.name: spec for spec in parse_tool_specs(raw)}


def failure(error: grpc.aio.AioRpcError) -> SnakepitError:
    """What a request's status tells of."""
    details = next((value for key, value in error.trailing_metadata() or () if key == statuses.DETAILS), None)
    return statuses.error_from(error.code(), error.details() or "", details if isinstance(details, bytes) else None)


def _not_ours(what: str) -> ChannelError:
    return ChannelError(f"{what} makes no sense", hint="is that the address of a gateway, `snakepit serve`, of this version?")
