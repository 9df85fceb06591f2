"""Errors of tools as the public service tells them: JSON with the exception's type, message and traceback, and where it was raised."""

import json
from typing import Any, Dict, List

from .plain import dumps

#: Of a traceback, this much travels (characters): metadata of a gRPC status has a limit.
_MOST_TRACEBACK = 4000
#: So much of a status's details leaves room for other metadata (bytes, as they travel).
_MOST_DETAILS = 6000
_AS_IT_IS = frozenset(range(0x20, 0x7F)) - {0x25}


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


def status_text(kind: str, message: str, traceback: str, context: Dict[str, Any]) -> str:
    """`error_text` for the details of a status, which travel as metadata: a client takes 8 KiB of that, percent-encoded, or none."""
    for most in (len(traceback), 1000, 200, 0):
        text = error_text(kind, message, traceback[-most:] if most else "", context)
        if encoded_size(text) <= _MOST_DETAILS:
            return text
    while message:
        message = message[: len(message) // 2]
        text = error_text(kind, message + "...", "", context)
        if encoded_size(text) <= _MOST_DETAILS:
            return text
    return error_text(kind[:200], "...", "", {})


def encoded_size(text: str) -> int:
    """How long a text is in a status (bytes): what is not printable ASCII becomes three of each of its bytes."""
    return sum(1 if byte in _AS_IT_IS else 3 for byte in text.encode("utf-8", "replace"))


def read_error(text: str) -> Dict[str, str]:
    """Type, message and traceback of an `error_message`; of one that is plain text, that as the message. All can travel."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        return {"type": "", "message": sound(text), "traceback": ""}
    lines = told.get("stacktrace")
    trace = told.get("traceback") or ("\n".join(map(str, lines)) if isinstance(lines, list) else "")
    return {"type": sound(told.get("type") or ""), "message": sound(told.get("message") or text), "traceback": sound(trace)}


def sound(value: Any) -> str:
    """A text without half pairs of surrogates, which nothing carries."""
    return str(value).encode("utf-8", "replace").decode("utf-8")
