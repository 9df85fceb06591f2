"""How a command ends when something went wrong: exit code, words for people, a document for programs.

Pure. The exit codes are a promise: 0 done, 1 the tool or its worker failed, 2 the command was wrong, 124 time ran out
(as `timeout` has it), and 128 + the signal's number when a signal ended it (130 for Ctrl-C, 141 for a closed pipe).
"""

from __future__ import annotations

from typing import Any

from snakepit.errors import (
    AdapterError,
    CallError,
    ConfigurationError,
    PlatformUnsupported,
    PoolStartFailed,
    QueueTimeout,
    SnakepitError,
    ToolError,
    WorkerTimeout,
    WorkerTraceback,
    WrongCallStyle,
)

from .lines import jsonable

DONE = 0
FAILED = 1
USAGE = 2
TIMEOUT = 124

_USAGE_ERRORS = (CallError, ConfigurationError, AdapterError, PlatformUnsupported)


def exit_code(error: BaseException) -> int:
    """The command's exit code after this error."""
    if isinstance(error, PoolStartFailed) and isinstance(error.__cause__, SnakepitError):
        return exit_code(error.__cause__)
    if isinstance(error, _USAGE_ERRORS):
        return USAGE
    return TIMEOUT if isinstance(error, (WorkerTimeout, QueueTimeout)) else FAILED


def hint_of(error: SnakepitError) -> str:
    """How to mend it, in the words of the command line where the library's own speak of Python calls."""
    if isinstance(error, WrongCallStyle):
        return "it does not say that it streams: put @tool(supports_streaming=True) above it"
    if isinstance(error, WorkerTimeout):
        return "give it more time with --timeout, or none at all by leaving that out"
    return error.hint


def error_text(error: SnakepitError) -> str:
    """The error for people, without a line break at the end; the user's own traceback, if there is one, comes last."""
    lines = [f"snakepit: {error.message}"]
    if hint_of(error):
        lines.append(f"  hint: {hint_of(error)}")
    traceback = worker_traceback(error)
    if traceback:
        lines.append(traceback)
    return "\n".join(lines)


def error_document(error: SnakepitError, tool: str = "") -> dict[str, Any]:
    """The error for programs: `{"error": {"code", "type", "message", ...}}`."""
    facts: dict[str, Any] = {"code": error.code, "type": type(error).__name__, "message": error.message}
    if tool:
        facts["tool"] = tool
    if isinstance(error, ToolError):
        facts["type"] = error.type or facts["type"]
        if error.chunk is not None:
            facts["chunk"] = error.chunk
    if hint_of(error):
        facts["hint"] = hint_of(error)
    traceback = worker_traceback(error)
    if traceback:
        facts["traceback"] = traceback
    details = {key: value for key, value in error.details.items() if key not in facts and value is not None}
    if details:
        facts["details"] = jsonable(details)
    return {"error": facts}


def interruption_document(name: str, tool: str) -> dict[str, Any]:
    """The document of a call that a signal cancelled."""
    return {"error": {"code": "call_cancelled", "type": "CallCancelled", "message": f"cancelled by {name}", "tool": tool}}


def interruption_text(name: str, tool: str, chunks: int | None) -> str:
    """One line: what the signal did to the call. `chunks` is None for a call without stream."""
    after = "" if chunks is None else f" after {chunks} {'chunk' if chunks == 1 else 'chunks'}"
    return f"snakepit: {name}: cancelled {tool}{after}"


def worker_traceback(error: BaseException) -> str:
    """The worker's traceback that belongs to an error; empty if there is none."""
    if isinstance(error, ToolError) and error.traceback:
        return error.traceback.rstrip()
    cause = error.__cause__
    if isinstance(cause, WorkerTraceback):
        return str(cause).strip("\n")
    return worker_traceback(cause) if isinstance(cause, SnakepitError) else ""
