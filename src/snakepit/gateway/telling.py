"""What clients are told of an error. What is of their call stays; what is of the gateway's inside stays inside, and is in its log. Pure."""

from __future__ import annotations

from snakepit import errors
from snakepit.errors import SnakepitError

#: What clients are told in place of messages that hold paths, addresses, other callers' failures or what a worker printed.
_INSIDE: tuple[tuple[type[SnakepitError], str], ...] = (
    (errors.PoolBroken, "the pool is broken: its workers do not start"),
    (errors.PoolStartFailed, "the pool's workers do not start"),
    (errors.PoolForked, "the pool cannot be used in this process"),
    (errors.AdapterError, "the pool's adapter does not start"),
    (errors.ProtocolUnavailable, "the pool's workers cannot be spoken to"),
    (errors.PlatformUnsupported, "the pool cannot run there"),
    (errors.ConfigurationError, "a setting of the pool is wrong"),
    (errors.InvalidToolSpec, "a tool of the pool cannot be offered"),
    (errors.CircuitOpen, "too many calls have failed, and none is taken for a while"),
    (errors.SessionStoreError, "the sessions cannot be read or kept now"),
    (errors.HangTimeout, "the tool hung, and was ended"),
    (errors.WorkerCrashed, "the worker died while it ran this call"),
    (errors.ChannelError, "the worker was lost while it ran this call"),
)
#: Of those, facts that clients may know.
_FACTS = ("tool", "worker_id", "exit_code", "signal", "chunks", "retry_after", "scope", "failures", "session_id", "rung")
_LOG = "the gateway's log says why"


def is_inside(error: BaseException) -> bool:
    """Is its message not for clients?"""
    return not isinstance(error, SnakepitError) or any(isinstance(error, kind) for kind, _ in _INSIDE)


def outside(error: BaseException, prefix: str = "") -> SnakepitError:
    """The error as its client may see it.

    Args:
        prefix: what the gateway has put before the client's session ids, which the client does not know.
    """
    if not isinstance(error, SnakepitError):
        return SnakepitError(f"this request failed; {_LOG}", code="internal")
    text = next((text for kind, text in _INSIDE if isinstance(error, kind)), None)
    if text is not None:
        kept = {name: error.details[name] for name in _FACTS if error.details.get(name) is not None}
        error = type(error)(f"{text}; {_LOG}", code=error.code, **kept)
    return _renamed(error, prefix)


def _renamed(error: SnakepitError, prefix: str) -> SnakepitError:
    """With the session's id as the client knows it. Its own, of this request, so it is changed where it stands."""
    full = error.details.get("session_id")
    if prefix and isinstance(full, str) and full.startswith(prefix):
        own = full.removeprefix(prefix)
        error.details["session_id"] = own
        error.message, error.hint = error.message.replace(full, own), error.hint.replace(full, own)
        error.args = (error.message,)
    return error
