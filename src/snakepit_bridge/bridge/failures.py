"""Errors of tools as the public service tells them: JSON with the exception's type, message and traceback, and where it was raised."""

import json
from typing import Any, Dict, List

from .plain import dumps

#: Of a traceback, this much travels (characters): metadata of a gRPC status has a limit.
_MOST_TRACEBACK = 4000


def error_text(kind: str, message: str, traceback: str, context: Dict[str, Any]) -> str:
    """The `error_message` of a response, and the details of a stream's status.

    Args:
        kind: the exception's class. context: facts such as `tool_name` and `session_id`; those that are empty are left out.
    """
    lines: List[str] = traceback[-_MOST_TRACEBACK:].splitlines()
    told = {
        "type": kind,
        "message": message,
        "stacktrace": lines,
        "traceback": "\n".join(lines),
        "context": {name: value for name, value in context.items() if value},
    }
    return dumps(told).decode("utf-8")


def read_error(text: str) -> Dict[str, str]:
    """Type, message and traceback of an `error_message`; of one that is plain text, that as the message."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        return {"type": "", "message": text, "traceback": ""}
    trace = told.get("traceback") or "\n".join(map(str, told.get("stacktrace") or ()))
    return {"type": str(told.get("type") or ""), "message": str(told.get("message") or text), "traceback": str(trace)}
