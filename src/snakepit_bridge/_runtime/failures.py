"""What went wrong in a tool, in a form that travels: type, message, traceback, the chunk it happened at."""

import traceback
from types import TracebackType
from typing import Any, Dict, Optional

from ..wire.payload import CODE, TooLarge
from ..wire.plain import Unserialisable

#: Longer texts are cut in the middle: an error must never be too large to send at once (characters).
MAX_TRACEBACK = 32 * 1024
MAX_MESSAGE = 8 * 1024

_RUNTIME = __name__.rpartition(".")[0]


def describe(error: BaseException, chunk: Optional[int] = None, who: str = "the tool") -> Dict[str, Any]:
    """The error frame's content for whatever a tool raised, or `who` else."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else "%s.%s" % (kind.__module__, kind.__qualname__)
    message = text_of(error)
    if isinstance(error, SystemExit):
        message = "%s called sys.exit(%s); the worker goes on" % (who, message)
    return {
        "code": "tool_error",
        "type": name,
        "message": _shorten(message, MAX_MESSAGE),
        "traceback": _shorten(traceback_of(error), MAX_TRACEBACK),
        "chunk": chunk,
    }


def hook_failure(error: BaseException, hook: str) -> Dict[str, Any]:
    """The error frame's content for what a hook of a session raised before the tool would have run."""
    return {**describe(error, who=hook), "code": "session_hook_error", "hook": hook}


def unserialisable(error: Unserialisable, what: str, chunk: Optional[int] = None) -> Dict[str, Any]:
    """The error frame's content for a result or chunk that no codec can hold. `what` names it: `result`, `chunk 3`."""
    reason = "`await` it first" if error.type_name == "coroutine" else error.reason
    return {
        "code": "unserializable",
        "type": error.type_name,
        "message": _shorten("%s%s is a %s: %s" % (what, error.path, error.type_name, reason), MAX_MESSAGE),
        "path": _shorten(error.path, 1024),
        "chunk": chunk,
    }


def too_large(error: TooLarge, chunk: Optional[int] = None) -> Dict[str, Any]:
    """The error frame's content for a result or chunk that is larger than the pool allows."""
    chunk = chunk if error.what == "chunk" else None
    return {**plain_failure(CODE, error.told("", chunk), chunk), **error.facts}


def plain_failure(code: str, message: str, chunk: Optional[int] = None) -> Dict[str, Any]:
    """The error frame's content for what the runtime itself finds wrong."""
    return {"code": code, "type": "", "message": message, "chunk": chunk}


def invalid_argument(message: str, facts: Dict[str, Any]) -> Dict[str, Any]:
    """The error frame's content for an argument that cannot become what its parameter is annotated with."""
    facts = {key: _shorten(text, 1024) for key, text in facts.items()}
    return {**plain_failure("invalid_parameter", _shorten(message, MAX_MESSAGE)), **facts}


def traceback_of(error: BaseException) -> str:
    """The traceback as text, without the runtime's own frames above the tool."""
    below: Optional[TracebackType] = error.__traceback__
    while below is not None and str(below.tb_frame.f_globals.get("__name__", "")).startswith(_RUNTIME):
        below = below.tb_next
    try:
        return "".join(traceback.format_exception(type(error), error, below or error.__traceback__))
    except Exception:  # An exception whose __str__ or __cause__ is broken must not hide that the tool failed.
        return "".join(traceback.format_tb(below))


def text_of(error: BaseException) -> str:
    """What an exception says of itself, whatever its `__str__` does."""
    try:
        return str(error)
    except BaseException as second:  # whatever it is, the call's end must be told
        return "<its text cannot be shown: %s>" % type(second).__name__


def _shorten(text: str, limit: int) -> str:
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    if len(text) <= limit:
        return text
    return "%s\n... %d characters left out ...\n%s" % (text[: limit // 2], len(text) - limit, text[-limit // 2 :])
