"""What stores hold and give out: sessions as frozen pictures, limits, and what may be a session's id."""

from __future__ import annotations

import dataclasses
import difflib
import reprlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from snakepit.errors import InvalidParameter, ProgramQuotaExceeded, SessionEnded, SessionQuotaExceeded, SessionStoreError
from snakepit_bridge.wire.codecs import MsgpackCodec
from snakepit_bridge.wire.plain import Unserialisable

#: Seconds since the epoch; tests give a clock of their own.
Clock = Callable[[], float]


def wall_clock() -> float:
    """The usual one. Looked up at each call, as a test may have turned it."""
    return time.time()


#: How often `update` asks its change again when others were faster.
MAX_TRIES = 1_000

_MAX_ID = 256
_MAX_SHOWN = 60  # characters
_NAMES_SHOWN = 12
_CODEC = MsgpackCodec()


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """How many sessions one store holds, and how many programs one session."""

    max_sessions: int = 10_000
    max_programs_per_session: int = 1_000


@dataclasses.dataclass(frozen=True, slots=True)
class SessionInfo:
    """One session at one moment.

    Attributes:
        created, last_used, expires: seconds since the epoch; it expires `ttl` seconds after its last use.
        metadata: frozen at every depth.
        programs: how many it holds.
        worker_id: the worker of this pool that it sticks to; empty if none.
        state: `bound`, `unbound` or `lost`, in this pool; empty where no pool was asked.
    """

    id: str
    created: float
    last_used: float
    expires: float
    ttl: float
    metadata: Mapping[str, Any]
    programs: int = 0
    worker_id: str = ""
    state: str = ""


def check_session_id(value: Any, name: str = "session_id") -> str:
    """A session's id: text of 1 to 256 characters without control characters.

    Args:
        name: what the caller calls it.

    Raises:
        InvalidParameter: it is not.
    """
    allowed = f"text of 1 to {_MAX_ID} printable characters"
    if not isinstance(value, str):
        message = f"{name} is {shown(value)}; allowed is {allowed}"
        raise InvalidParameter(message, field=name, expected="text", got=type(value).__name__)
    if not 0 < len(value) <= _MAX_ID or not value.isprintable():
        raise InvalidParameter(f"{name} is {value[:40]!r}, of {len(value)} characters; allowed is {allowed}", field=name)
    return value


def shown(value: Any) -> str:
    """A value in a message, whatever it is: `5, an int`."""
    kind = type(value).__name__
    article = "an" if kind[:1].lower() in "aeiou" else "a"
    text = " ".join(reprlib.repr(value).split())
    return "None" if value is None else f"{text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + '...'}, {article} {kind}"


def thaw(value: Any) -> Any:
    """A copy that is the caller's own: any mapping is a dict in it, any list a plain one."""
    if isinstance(value, Mapping):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, list):
        return [thaw(item) for item in value]
    return tuple(map(thaw, value)) if type(value) is tuple else value


def encode(value: Any, what: str) -> bytes:
    """A value as the bytes that a store keeps.

    Args:
        what: names it in messages, such as `metadata` or `program 'p1'`.

    Raises:
        InvalidParameter: it cannot travel.
    """
    try:
        return _CODEC.encode_value(thaw(value))
    except RecursionError:
        hint = "it contains itself, or is nested too deep: keep plain values, and name what belongs together"
        raise InvalidParameter(f"{what} cannot be kept: it has no end", hint=hint, field=what) from None
    except Unserialisable as error:
        hint = "give None, bool, int, float, str, bytes, list or dict"
        message = f"{what}{error.path} is a {error.type_name}: {error.reason}"
        raise InvalidParameter(message, hint=hint, field=what, path=error.path) from None


def encode_metadata(metadata: Any) -> bytes:
    """`encode` for metadata, which is a dict with text keys."""
    return encode(check_metadata(metadata), "metadata")


def check_metadata(metadata: Any) -> Any:
    """Metadata, if it is a mapping with text keys.

    Raises:
        InvalidParameter: it is not.
    """
    if not isinstance(metadata, Mapping) or not all(isinstance(key, str) for key in metadata):
        raise InvalidParameter(f"metadata is {shown(metadata)}; allowed is a dict with text keys", field="metadata")
    return metadata


def decode(data: bytes) -> Any:
    """What `encode` was given, as a copy."""
    return _CODEC.decode(data)


def check_program_id(value: Any) -> str:
    """A program's id: as a session's.

    Raises:
        InvalidParameter: it is not text of 1 to 256 printable characters.
    """
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_ID or not value.isprintable():
        raise InvalidParameter(f"program_id is {value!r:.60}; allowed are 1 to {_MAX_ID} printable characters", field="program_id")
    return value


def too_many_sessions(session_id: str, limits: Limits) -> SessionQuotaExceeded:
    """No place for another session."""
    hint = "end sessions that are done, give them a shorter ttl, or raise max_sessions"
    message = f"there are {limits.max_sessions} sessions, which is max_sessions; {session_id!r} would be one more"
    return SessionQuotaExceeded(message, hint=hint, session_id=session_id, limit=limits.max_sessions)


def too_many_programs(session_id: str, program_id: str, limits: Limits) -> ProgramQuotaExceeded:
    """No place for another program."""
    limit = limits.max_programs_per_session
    hint = "delete programs that are done, or raise max_programs_per_session"
    message = f"session {session_id!r} holds {limit} programs, which is max_programs_per_session; {program_id!r} would be one more"
    return ProgramQuotaExceeded(message, hint=hint, session_id=session_id, program_id=program_id, limit=limit)


def no_program(session_id: str, program_id: str, known: Iterable[str]) -> InvalidParameter:
    """A program was asked for that is not there."""
    names = sorted(known)
    near = difflib.get_close_matches(str(program_id), names, n=3)
    meant = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    more = f", and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    hint = f"{meant}there are: {', '.join(names[:_NAMES_SHOWN])}{more}" if names else "it has none; put_program(id, value) keeps one"
    message = f"session {session_id!r} has no program {program_id!r}"
    return InvalidParameter(message, hint=hint, session_id=session_id, program_id=program_id)


def session_ended(session_id: str) -> SessionEnded:
    """A session was asked for that is over."""
    hint = "open it anew with pool.session(...); its lifetime without calls is its ttl"
    return SessionEnded(f"session {session_id!r} was ended, or its lifetime is over", hint=hint, session_id=session_id)


def changed_by_others(session_id: str) -> SessionStoreError:
    """`update` never got its turn."""
    hint = "does `change` update its own session?"
    message = f"session {session_id!r} was changed by others {MAX_TRIES} times in a row"
    return SessionStoreError(message, hint=hint, session_id=session_id)
