"""How a call of a host tool ends, in a form that travels. Made where the host tool runs: what it raised may run code of its own."""

from __future__ import annotations

import dataclasses
import traceback
from typing import Any

from snakepit.errors import SnakepitError
from snakepit_bridge import redaction
from snakepit_bridge.wire.payload import CODE, TooLarge
from snakepit_bridge.wire.plain import Unserialisable

from .threads import TooManyParked

_MAX_TEXT = 32 * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class End:
    """A result with the secrets found in it, the end of what was streamed, or the content of an error frame."""

    value: Any = None
    found: tuple[str, ...] = ()
    streamed: bool = False
    failure: dict[str, Any] | None = None


def failure(code: str, message: str, *, kind: str = "", stack: str = "") -> dict[str, Any]:
    """The content of an error frame. Texts are masked and not too long to send at once."""
    texts = {"message": message, "traceback": stack}
    for key, text in texts.items():
        sendable = text.encode("utf-8", "backslashreplace").decode("utf-8")
        texts[key] = redaction.mask(sendable[-_MAX_TEXT:])
    return {"code": code, "type": kind, "chunk": None, **texts}


def cancelled() -> End:
    """Nobody waits for it any more."""
    return End(failure=failure("cancelled", "the host tool was cancelled"))


def raised(error: BaseException) -> End:
    """The host tool raised."""
    return End(failure=described(error))


def described(error: BaseException) -> dict[str, Any]:
    """The content of an error frame for an exception. Never raises itself, whatever the exception's own code does."""
    try:
        return _described(error)
    except BaseException as second:
        kind = type(second).__name__
        return failure("host_tool_error", f"the host tool raised what cannot be shown: {kind}", kind=type(error).__name__)


def _described(error: BaseException) -> dict[str, Any]:
    if isinstance(error, TooLarge):
        return failure(CODE, f"{error}: {error.hint}")
    if isinstance(error, Unserialisable):
        return failure("unserializable", f"its result{error.path} is a {error.type_name}: {error.reason}")
    if isinstance(error, TooManyParked):
        message = f"{error.limit} generators of host tools wait for their readers already; read some to the end, or close them"
        return failure("too_many_host_calls", message)
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    code = error.code if isinstance(error, SnakepitError) else "host_tool_error"
    return failure(code, _text_of(error), kind=name, stack=_stack_of(error))


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException as second:  # also SystemExit: nobody but the caller is to learn of it
        return f"<its text cannot be shown: {type(second).__name__}>"


def _stack_of(error: BaseException) -> str:
    """The traceback as text, without the library's own frame above the host tool."""
    top = error.__traceback__
    below = top.tb_next if top is not None else None
    try:
        return "".join(traceback.format_exception(type(error), error, below or top))
    except BaseException:
        return "".join(traceback.format_tb(below or top))
