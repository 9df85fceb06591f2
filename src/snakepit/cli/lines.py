"""Values, chunks and errors as text: one plain line for people, one JSON document for programs.

Pure. Promises: a line has no line break and no control character in it, whatever a tool gave; a JSON document is JSON
by the letter (bytes become `raw_data_base64`, NaN and the infinities become text, keys become text).
"""

from __future__ import annotations

import base64
import datetime
import json
import math
from collections.abc import Mapping
from typing import Any

from snakepit_bridge.bridge.plain import keyed, plain

#: What the runtime adds to a chunk; a person asked for the payload.
ENVELOPE = frozenset({"is_final", "_metadata"})

_TIMES = (datetime.date, datetime.time, datetime.timedelta)
_RAW, _RAW_TEXT = "raw_data", "raw_data_base64"
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code != 9} | {10: "\\n", 13: "\\r"}


def chunk_line(chunk: Mapping[str, Any]) -> str:
    """A chunk on one line; empty if it carries nothing but its envelope.

    `message` comes first as it is, then the other keys as `key=value`; what the tool gave bare stands alone.
    """
    payload = payload_of(chunk)
    return _bare(payload["data"]) if list(payload) == ["data"] else describe(payload)


def payload_of(chunk: Mapping[str, Any]) -> dict[str, Any]:
    """What the tool itself put into a chunk."""
    return {key: value for key, value in chunk.items() if key not in ENVELOPE}


def describe(payload: Mapping[str, Any]) -> str:
    """`message`, then `key=value` for each other key; the envelope's keys are left out."""
    message = payload.get("message")
    lead = [_one_line(message)] if isinstance(message, str) and message.strip() else []
    rest = [
        f"{_one_line(str(key))}={_word(value)}" for key, value in payload.items() if key not in ENVELOPE and not (key == "message" and lead)
    ]
    return "  ".join([*lead, " ".join(rest)] if rest else lead)


def result_text(value: Any) -> str:
    """A unary result for people: text as it is, everything else as indented JSON."""
    return value if isinstance(value, str) else json.dumps(jsonable(value), indent=2, ensure_ascii=False)


def json_line(value: Any) -> str:
    """Any value as one line of JSON, in ASCII: no locale and no line splitter can break it."""
    return json.dumps(jsonable(value))


def chunk_json(chunk: Mapping[str, Any]) -> str:
    """A chunk, envelope included, as one line of JSON; bytes that the tool gave bare are under `raw_data_base64`."""
    return json_line({(_RAW_TEXT if _is_raw(key, value) else key): _raw_text(key, value) for key, value in chunk.items()})


def jsonable(value: Any) -> Any:
    """A value that JSON can hold; see the promises above."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return plain(value)  # one that no interpreter writes in decimal digits is text
    if isinstance(value, float):
        return value if math.isfinite(value) else {"inf": "Infinity", "-inf": "-Infinity"}.get(str(value), "NaN")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {_RAW_TEXT: base64.b64encode(value).decode("ascii")}
    if isinstance(value, Mapping):
        return keyed(value, jsonable)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [jsonable(item) for item in value]
    if isinstance(value, _TIMES):
        return plain(value)
    return jsonable(plain(value)) if hasattr(value, "tolist") or hasattr(value, "to_dict") else str(value)


def _is_raw(key: Any, value: Any) -> bool:
    return key == _RAW and isinstance(value, (bytes, bytearray, memoryview))


def _raw_text(key: Any, value: Any) -> Any:
    return base64.b64encode(value).decode("ascii") if _is_raw(key, value) else value


def _bare(value: Any) -> str:
    return _one_line(value.removesuffix("\n")) if isinstance(value, str) else _word(value)


def _word(value: Any) -> str:
    """A value behind `key=`: text that could be misread is quoted, bytes are counted."""
    if isinstance(value, str):
        plain = value and value.isprintable() and not any(char.isspace() or char in "\"'=" for char in value)
        return value if plain else json.dumps(value, ensure_ascii=False).translate(_CONTROL)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{len(value)} bytes>"
    return json.dumps(jsonable(value), ensure_ascii=False).translate(_CONTROL)


def _one_line(text: str) -> str:
    return text.translate(_CONTROL)
