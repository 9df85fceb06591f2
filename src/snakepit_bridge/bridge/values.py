"""Parameters, results and chunks of the public service: from Python values to the bytes on the wire, and back.

A parameter is an `Any` whose type_url ends in a name of the value's kind and whose value is JSON: raw, as Snakepit sends it, or in a
packed `StringValue`. A result is the same with `snakepit.KIND`. A chunk is bytes: JSON, the text itself, or bytes as they are.
"""

import json
import math
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

from .plain import dumps, plain

STRING_VALUE = "type.googleapis.com/google.protobuf.StringValue"
_RESULT = "type.googleapis.com/snakepit."
_TOO_DEEP = "is nested too deep"
_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
#: Whole numbers up to here are the same as a float: Snakepit's results know floats alone.
_EXACT = 2**53


class BadParameter(ValueError):
    """A parameter is not what its type says.

    Attributes:
        name: the parameter's.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__("parameter %r %s" % (name, reason))
        self.name = name


class Packed(NamedTuple):
    """The two fields of an `Any`."""

    type_url: str
    value: bytes


def parameter(value: Any) -> Packed:
    """An argument as it travels."""
    return Packed(STRING_VALUE, dumps(value))


def arguments(parameters: Mapping[str, Any]) -> Dict[str, Any]:
    """The arguments of a call.

    Args:
        parameters: `Any` messages by name.

    Raises:
        BadParameter: one is no JSON, or not what its type says.
    """
    return {name: argument(name, item.type_url, item.value) for name, item in parameters.items()}


def argument(name: str, type_url: str, data: bytes) -> Any:
    """One argument.

    Raises:
        BadParameter: it is no JSON, or not what its type says.
    """
    kind = type_url.rpartition("/")[2].rpartition(".")[2].lower()
    text = _packed_text(data) if kind == "stringvalue" else None
    if text is not None:  # first: what is packed begins with a line break, and its length may be a digit
        return _json_or_text(name, text)
    try:
        value = json.loads(data)
    except ValueError as error:
        raise BadParameter(name, "is no JSON: %s" % _reason(error)) from None
    except RecursionError:
        raise BadParameter(name, _TOO_DEEP) from None
    return _as_kind(name, kind, value)


def _as_kind(name: str, kind: str, value: Any) -> Any:
    if kind == "float" and isinstance(value, str):
        if value not in _FLOATS:
            raise BadParameter(name, "is %.40r; allowed as a float is a number, %s" % (value, ", ".join(map(repr, _FLOATS))))
        return _FLOATS[value]
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind == "integer" and (isinstance(value, bool) or not isinstance(value, int)):
        raise BadParameter(name, "is %.40r; allowed as an integer is a whole number" % (value,))
    return value


def _packed_text(data: bytes) -> Optional[str]:
    """The text in a `StringValue` message; None if it is none. Written out: one field, number 1, with a length before it."""
    if not data:
        return ""
    if data[:1] != b"\x0a":
        return None
    length, shift, at = 0, 0, 1
    while at < len(data) and shift < 35:
        length |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            break
        shift += 7
    text = data[at:]
    try:
        return text.decode("utf-8") if len(text) == length else None
    except UnicodeDecodeError:
        return None


def _json_or_text(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
    except RecursionError:
        raise BadParameter(name, _TOO_DEEP) from None


def _reason(error: ValueError) -> str:
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def result(value: Any) -> Tuple[Packed, bytes]:
    """A result as it travels: (the `Any`, what goes beside it as bytes).

    The shapes are Snakepit's where its callers match on them: None is the text "None", whole numbers are floats. What it loses is kept:
    bytes go as `binary_result`, tuples, sets and arrays as lists, whole numbers that no float holds digit by digit.
    """
    if isinstance(value, (bytes, bytearray, memoryview)):
        return Packed(_RESULT + "string", b'""'), bytes(value)
    if value is None:
        return Packed(_RESULT + "string", b'"None"'), b""
    if not isinstance(value, (bool, int, float, str, list, dict)):
        value = plain(value)
    if isinstance(value, bool):
        return Packed(_RESULT + "boolean", b"true" if value else b"false"), b""
    if isinstance(value, (int, float)):
        number = float(value) if isinstance(value, int) and -_EXACT <= value <= _EXACT else value
        return Packed(_RESULT + "float", dumps(number)), b""
    kind = "string" if isinstance(value, str) else "map" if isinstance(value, dict) else "list"
    return Packed(_RESULT + kind, dumps(value)), b""


def value_of(type_url: str, data: bytes, binary: bytes = b"") -> Any:
    """What a result, of ours or of Snakepit's, means.

    Raises:
        BadParameter: it is no JSON.
    """
    return binary or argument("result", type_url, data)


def chunk(payload: Any) -> bytes:
    """The `data` of a chunk."""
    if payload is None:
        return b""
    if isinstance(payload, (bytes, bytearray, memoryview)):
        return bytes(payload)
    return payload.encode("utf-8", "replace") if isinstance(payload, str) else dumps(payload)


def texts(metadata: Mapping[str, Any]) -> Dict[str, str]:
    """Metadata as the service has it: text by name. What is not text is JSON."""
    return {str(name): value if isinstance(value, str) else dumps(value).decode("utf-8") for name, value in metadata.items()}
