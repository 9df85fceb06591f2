"""What a request asks for, beside its message: which pool, how values look, whose session. And what its message holds, decoded."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from snakepit import AsyncPool
from snakepit._api.options import SessionHandle
from snakepit._sessions.records import check_session_id
from snakepit.errors import AccessDenied, InvalidParameter, LimitExceeded, WorkerTimeout
from snakepit.remote import words
from snakepit_bridge.bridge import values
from snakepit_bridge.wire.codecs import Malformed, Unserialisable

from .clients import CURRENT, Client
from .identity import prefix_of
from .weighing import is_heavier

#: With the client's name before it, a session's id must still be one.
_LONGEST_ID = 256


@dataclasses.dataclass(slots=True)
class Asked:
    """One request's circumstances.

    Attributes:
        pool_name, pool: which pool it is for. client: who asks.
        exact: it reads and writes values as `words.CODEC` does.
        headers: its metadata, by name.
    """

    pool_name: str
    pool: AsyncPool
    client: Client
    exact: bool
    headers: Mapping[str, Any]

    def session_id(self, text: str) -> str:
        """The id under which the pool knows a session: each token has names of its own, so that none reaches another's.

        Raises:
            InvalidParameter: it is no id.
        """
        checked, prefix = check_session_id(text), prefix_of(self.client)
        if prefix and len(checked) > _LONGEST_ID - len(prefix):
            message = f"session_id has {len(checked)} characters; allowed are {_LONGEST_ID - len(prefix)}"
            raise InvalidParameter(message, field="session_id")
        return prefix + checked

    def check_tool(self, tool: str) -> None:
        """Refuse tools that the client may not call, whether they exist or not.

        Raises:
            AccessDenied: it may not.
        """
        token = self.client.token
        if token is not None and not token.allows_tool(tool):
            raise AccessDenied(f"the token of {token.name!r} does not allow this tool", tool=tool[:100])


def asked_by(context: Any, pools: Mapping[str, AsyncPool], default: str) -> Asked:
    """The circumstances of a request.

    Raises:
        InvalidParameter: there is no pool of that name. AccessDenied: its token is not for this pool.
    """
    headers = dict(context.invocation_metadata() or ())
    client, name = CURRENT.get(), headers.get(words.POOL) or default
    token = client.token
    if token is not None and not token.allows_pool(name):
        raise AccessDenied(f"the token of {token.name!r} does not allow pool {name[:100]!r}", code="access_denied")
    if name not in pools:
        open_ones = [item for item in pools if token is None or token.allows_pool(item)]
        hint = f"name one in the header {words.POOL}: {', '.join(open_ones)}"
        raise InvalidParameter(f"there is no pool {name[:100]!r}", code="unknown_pool", hint=hint, field=words.POOL)
    return Asked(name, pools[name], client, headers.get(words.ENCODING) == words.MSGPACK, headers)


def arguments(request: Any, most: int) -> dict[str, Any]:
    """The arguments of a call.

    Args:
        most: how much JSON there may be (bytes): it takes a second for every 10 MiB, and nobody else is served meanwhile.

    Raises:
        InvalidParameter: one is no JSON, or not what its type says. LimitExceeded: it is too much JSON.
    """
    size = sum(len(item.value) for item in request.parameters.values() if item.type_url != words.EXACT)
    heavy = next((name for name, item in request.parameters.items() if item.type_url == words.EXACT and is_heavier(item.value, most)), None)
    if size > most or heavy is not None:
        what = f"the parameters are {size} bytes of JSON" if heavy is None else f"parameter {heavy!r} holds too many items"
        message = f"{what}, and limits.json_bytes of the gateway is {most}"
        hint = "send what is large in binary_parameters, or as an array, or have the limit raised"
        raise LimitExceeded(message, hint=hint, limit="json_bytes", allowed=most)
    for name, text in request.metadata.items():
        if name.startswith("binary_format:") and text == "pickle":
            what = name.partition(":")[2]
            message = f"parameter {what!r} is pickled, which runs code when it is read"
            raise InvalidParameter(message, hint="send it as bytes or JSON", parameter=what)
    return {name: _argument(name, item) for name, item in request.parameters.items()}


def options(asked: Asked, request: Any) -> dict[str, Any]:
    """What the call's keyword arguments are, but for its deadline.

    Raises:
        InvalidParameter: a header makes no sense.
    """
    told: dict[str, Any] = {}
    if request.binary_parameters:
        told["binary_parameters"] = dict(request.binary_parameters)
    if words.AFFINITY in asked.headers:
        told["affinity"] = asked.headers[words.AFFINITY]
    if words.RETRY in asked.headers:
        try:
            told["retry"] = json.loads(asked.headers[words.RETRY])
        except (ValueError, RecursionError) as error:
            raise InvalidParameter(f"the header {words.RETRY} is no JSON: {error}", field="retry") from None
    if request.session_id:
        session_id = asked.session_id(request.session_id)
        told["session_id"] = _opened(asked, session_id) if words.SESSION_OPEN in asked.headers else session_id
    return told


def seconds_left(context: Any, most: float) -> float:
    """How long the call may take: until its client's deadline, and at most `most` seconds.

    Raises:
        WorkerTimeout: the deadline has passed.
    """
    left = context.time_remaining()
    if left is None:
        return most
    if left <= 0:
        raise WorkerTimeout("the deadline had passed when the request came", rung="queued")
    return min(round(float(left), 3) or 0.001, most)


def _opened(asked: Asked, session_id: str) -> SessionHandle:
    """A session that was opened before, and that a call must not open."""
    session = asked.pool.session(session_id)
    session._opened = True
    return session


def _carried(name: str, value: Any) -> Any:
    """What JSON holds, and no channel does: half a pair of surrogates, more levels than a decoder has room for."""
    try:
        words.CODEC.encode(value)
    except Unserialisable as error:
        raise InvalidParameter(f"parameter {name!r}{error.path} cannot be passed on: {error.reason}", parameter=name) from None
    return value


def _argument(name: str, item: Any) -> Any:
    try:
        if item.type_url == words.EXACT:
            return words.CODEC.decode(item.value)
        return _carried(name, values.argument(name, item.type_url, item.value))
    except values.BadParameter as error:
        hint = "each parameter is an Any whose value is JSON; bytes go into binary_parameters"
        raise InvalidParameter(str(error), hint=hint, parameter=name) from None
    except (Malformed, RecursionError):
        raise InvalidParameter(f"parameter {name!r} is cut short, or nested too deep", parameter=name) from None
