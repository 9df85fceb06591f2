"""The options that every kind of call takes beside its own: which session, how it sticks, binary parameters."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, TypedDict

from snakepit._pool.call import Opening
from snakepit._pool.pickling import pickled_arguments, refusal
from snakepit._pool.tools import ToolSpec
from snakepit._sessions.records import check_session_id
from snakepit.config import PoolConfig, check_affinity
from snakepit.errors import CallError, InvalidParameter
from snakepit.retries import RetryPolicy, check_retry
from snakepit_bridge.redaction import Redactor
from snakepit_bridge.wire.typed import Pickled

from .arguments import checked_call, settled_arguments

Affinity: TypeAlias = Literal["hint", "strict_queue", "strict_fail_fast"]


class SessionHandle:
    """What `Session` and `AsyncSession` are to a call: an id, and how its calls stick.

    Attributes:
        id: the session's id.
        affinity: how its calls stick to its worker, unless a call says otherwise; None: as the pool is set.
    """

    _pool: object  # whose session it is

    def __init__(self, session_id: str, affinity: str | None) -> None:
        self.id: str = check_session_id(session_id, "id")
        self.affinity = None if affinity is None else check_affinity("affinity", affinity, InvalidParameter)

    def _opening(self) -> Opening | None:
        """How a call opens it; None if this handle has opened it.

        Raises:
            SessionEnded: this handle has ended it.
        """
        raise NotImplementedError


class CallOptions(TypedDict, total=False):
    """Further keyword arguments of `execute`, `stream` and `submit`.

    session_id: the session the call belongs to, by its id, which opens it if need be, or the `Session` itself.
    affinity: how this call sticks to its session's worker; by default as the session or the pool is set.
    binary_parameters: arguments that travel untouched: bytes by parameter name, beside `args`.
    retry: when this call runs once more, in place of the pool's `retry`; False: never.
    """

    session_id: str | SessionHandle | None
    affinity: Affinity | None
    binary_parameters: Mapping[str, bytes | bytearray | memoryview] | None
    retry: RetryPolicy | Mapping[str, Any] | bool | None


def prepare(
    tools: Mapping[str, ToolSpec], config: PoolConfig, tool: str, args: Mapping[str, Any] | None, options: CallOptions, *, streaming: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the arguments to send, further attributes of the `Call`).

    Raises:
        UnknownTool, InvalidParameter, InvalidBinaryParameter, WrongCallStyle, SerializationError: something is wrong with the call.
        TypeError: an option of an unknown name.
    """
    try:
        return _prepared(tools, config, tool, args, options, streaming=streaming)
    except CallError as error:
        own = Redactor(config.secret_names, config.secret_patterns)
        error.mask_more(own, own.secrets_in([args]))  # it may quote an argument that is a secret in this pool alone
        raise


def _prepared(
    tools: Mapping[str, ToolSpec], config: PoolConfig, tool: str, args: Mapping[str, Any] | None, options: CallOptions, *, streaming: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    spec = tools.get(tool) if isinstance(tool, str) else None
    if not options and (spec is None or not (spec.pickled or config.allow_pickle)):  # nearly every call
        sent, _ = checked_call(tools, tool, args, None, streaming=streaming)
        return settled_arguments(tool, sent), {}
    check_option_names(options, streaming=streaming)
    extra: dict[str, Any] = {}
    pickles: dict[str, Pickled] = {}
    if spec is not None and (spec.pickled or config.allow_pickle):
        extra["no_pickle"] = refusal(spec, allowed=config.allow_pickle)
        if config.allow_pickle and isinstance(args, Mapping):
            pickles = pickled_arguments(spec, args)
            extra["pickles"], args = tuple(pickles), {name: value for name, value in args.items() if name not in pickles}
    sent, binary = checked_call(tools, tool, args, options.get("binary_parameters"), streaming=streaming, others=pickles)
    sent = {**settled_arguments(tool, sent, extra.get("no_pickle", "")), **pickles}
    if binary:
        extra["binary"] = binary
    if options.get("retry") not in (None, True):
        extra["retry"] = check_retry("retry", options["retry"], InvalidParameter)
    session, affinity = options.get("session_id"), options.get("affinity")
    if affinity is not None:
        check_affinity("affinity", affinity, InvalidParameter)
    if isinstance(session, SessionHandle):  # its pool has seen that it is its own
        opening = session._opening()
        extra.update(session_id=session.id, session_must_exist=opening is None, opening=opening)
        extra.update(affinity=affinity or session.affinity or config.affinity)
    elif session is not None:
        extra.update(session_id=check_session_id(session), affinity=affinity or config.affinity)
    elif affinity is not None:
        raise InvalidParameter("affinity is given without session_id", hint="name the session that the call belongs to", field="affinity")
    return sent, extra


def id_in(pool: Any, session: Any) -> str:
    """The id of a session that is given by its id or as a `Session`.

    Raises:
        InvalidParameter: it is a `Session` of another pool, or no id.
    """
    if not isinstance(session, SessionHandle):
        return check_session_id(session)
    if session._pool is not pool:
        hint = "sessions live in the pool that made them: pool.session(id) gives this pool's own"
        raise InvalidParameter(f"session_id is {session!r}, which belongs to another pool", hint=hint, field="session_id")
    return session.id


_IN_A_THREAD = "execute() has it: call that in a thread of yours, or as a task of AsyncPool"

#: Options that only the other kind of call has: (name, does it stream?), and what is said of them.
_OF_OTHERS = {
    ("on_progress", False): f"submit() and map() have no option 'on_progress'; {_IN_A_THREAD}",
    ("on_metadata", False): f"submit() and map() have no option 'on_metadata'; {_IN_A_THREAD}",
    ("chunk_timeout", False): "execute(), submit() and map() have no option 'chunk_timeout'; timeout=... bounds them",
    ("chunksize", False): "calls have no option 'chunksize'; short ones travel together by themselves, window=... of map() bounds how many",
    ("on_progress", True): "stream() has no option 'on_progress'; a stream's reports are chunks of it, which values() leaves out",
    ("on_metadata", True): "stream() has no option 'on_metadata'; a stream's metadata are in its last chunk, under '_metadata'",
}


def check_option_names(options: Mapping[str, Any], *, streaming: bool) -> None:
    """Refuse options that no call has, as a function refuses keywords it does not know.

    Raises:
        TypeError: with near names.
    """
    for name in options:
        if (name, streaming) in _OF_OTHERS:
            raise TypeError(_OF_OTHERS[name, streaming])
        if name not in CallOptions.__annotations__:
            known = ["timeout", *(["chunk_timeout"] if streaming else []), *CallOptions.__annotations__]
            near = difflib.get_close_matches(name, known, n=2)
            hint = f"did you mean {' or '.join(near)}?" if near else "a tool's own arguments go into args={...}"
            raise TypeError(f"a call has no option named {name!r}; {hint}")
