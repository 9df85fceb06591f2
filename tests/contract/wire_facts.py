"""What is known of Snakepit's service, written down by hand: its methods, messages, field numbers and types; and bytes made and read by it.

Nothing here comes from our .proto or our stubs: it is what they are held against.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from hand_wire import entry, message, read

PATH = "/snakepit.bridge.BridgeService/"

#: Method: (what it takes, what it gives, do requests stream, do answers).
METHODS = {
    "Ping": ("PingRequest", "PingResponse", False, False),
    "InitializeSession": ("InitializeSessionRequest", "InitializeSessionResponse", False, False),
    "CleanupSession": ("CleanupSessionRequest", "CleanupSessionResponse", False, False),
    "GetSession": ("GetSessionRequest", "GetSessionResponse", False, False),
    "Heartbeat": ("HeartbeatRequest", "HeartbeatResponse", False, False),
    "ExecuteTool": ("ExecuteToolRequest", "ExecuteToolResponse", False, False),
    "ExecuteStreamingTool": ("ExecuteToolRequest", "ToolChunk", False, True),
    "RegisterTools": ("RegisterToolsRequest", "RegisterToolsResponse", False, False),
    "GetExposedElixirTools": ("GetExposedElixirToolsRequest", "GetExposedElixirToolsResponse", False, False),
    "ExecuteElixirTool": ("ExecuteElixirToolRequest", "ExecuteElixirToolResponse", False, False),
    "StreamTelemetry": ("TelemetryControl", "TelemetryEvent", True, True),
}

_TOOL = "1 name string · 2 description string · 3 parameters repeated ParameterSpec · 4 metadata map<string> · 5 supports_streaming bool"
_RESPONSE = (
    "1 success bool · 2 result Any · 3 error_message string · 4 metadata map<string> · 5 execution_time_ms int64 · 6 binary_result bytes"
)
#: Message: its fields as `number name type`. Maps are from text; `|` before a type: one of a oneof, which is sent though it is a default.
_FIELDS = {
    "PingRequest": "1 message string",
    "PingResponse": "1 message string · 2 server_time Timestamp",
    "InitializeSessionRequest": "1 session_id string · 2 metadata map<string> · 3 config SessionConfig",
    "SessionConfig": "1 enable_caching bool · 2 cache_ttl_seconds int32 · 3 enable_telemetry bool",
    "InitializeSessionResponse": "1 success bool · 2 error_message string · 3 available_tools map<ToolSpec>",
    "CleanupSessionRequest": "1 session_id string · 2 force bool",
    "CleanupSessionResponse": "1 success bool · 2 resources_cleaned int32",
    "GetSessionRequest": "1 session_id string",
    "GetSessionResponse": "1 session_id string · 2 metadata map<string> · 3 created_at Timestamp · 4 tool_count int32",
    "HeartbeatRequest": "1 session_id string · 2 client_time Timestamp",
    "HeartbeatResponse": "1 server_time Timestamp · 2 session_valid bool",
    "ToolSpec": _TOOL,
    "ToolRegistration": _TOOL,
    "ParameterSpec": (
        "1 name string · 2 type string · 3 description string · 4 required bool · 5 default_value Any · 6 validation_json string"
    ),
    "ExecuteToolRequest": (
        "1 session_id string · 2 tool_name string · 3 parameters map<Any> · 4 metadata map<string> · 5 stream bool"
        " · 6 binary_parameters map<bytes>"
    ),
    "ExecuteToolResponse": _RESPONSE,
    "ExecuteElixirToolResponse": _RESPONSE,
    "ToolChunk": "1 chunk_id string · 2 data bytes · 3 is_final bool · 4 metadata map<string>",
    "RegisterToolsRequest": "1 session_id string · 2 tools repeated ToolRegistration · 3 worker_id string",
    "RegisterToolsResponse": "1 success bool · 2 tool_ids map<string> · 3 error_message string",
    "GetExposedElixirToolsRequest": "1 session_id string",
    "GetExposedElixirToolsResponse": "1 tools repeated ToolSpec",
    "ExecuteElixirToolRequest": "1 session_id string · 2 tool_name string · 3 parameters map<Any> · 4 metadata map<string>",
    "TelemetryEvent": (
        "1 event_parts repeated string · 2 measurements map<TelemetryValue> · 3 metadata map<string> · 4 timestamp_ns int64"
        " · 5 correlation_id string"
    ),
    "TelemetryValue": "1 int_value |int64 · 2 float_value |double · 3 string_value |string",
    "TelemetryControl": "1 toggle |TelemetryToggle · 2 sampling |TelemetrySamplingUpdate · 3 filter |TelemetryEventFilter",
    "TelemetryToggle": "1 enabled bool",
    "TelemetrySamplingUpdate": "1 sampling_rate double · 2 event_patterns repeated string",
    "TelemetryEventFilter": "1 allow repeated string · 2 deny repeated string",
}
#: Google's own two that these are made of.
_GOOGLES = {"Any": "1 type_url string · 2 value bytes", "Timestamp": "1 seconds int64 · 2 nanos int32"}


class Field(NamedTuple):
    """One field: `shape` is `one`, `oneof`, `repeated` or `map`; `kind` a scalar's name or a message's."""

    number: int
    name: str
    shape: str
    kind: str


def _parsed(row: str) -> tuple[Field, ...]:
    found = []
    for text in row.split(" · "):
        number, name, kind = text.split(" ", 2)
        shape = "map" if kind.startswith("map<") else "repeated" if kind.startswith("repeated ") else "oneof" if kind[0] == "|" else "one"
        found.append(Field(int(number), name, shape, re.sub(r"^(map<|repeated |\|)|>$", "", kind)))
    return tuple(found)


MESSAGES = {name: _parsed(row) for name, row in _FIELDS.items()}
_ALL = {**MESSAGES, **{name: _parsed(row) for name, row in _GOOGLES.items()}}

#: Values of each scalar type that a wrong type, width or sign would not bring through.
SCALARS: dict[str, tuple[Any, ...]] = {
    "string": ("x", "grüße ✓", "long " * 100),
    "bytes": (b"x", b"\x00\xff\x80", b"\x00" * 300),
    "bool": (True,),
    "int32": (1, 300, 2**31 - 1, -1, -(2**31)),
    "int64": (1, 300, 2**63 - 1, -1, -(2**63)),
    "double": (0.5, -1e300, float("inf")),
}
#: Wire types: varint, eight bytes, with a length; of messages the last.
_WIRE_TYPES = {"bool": 0, "int32": 0, "int64": 0, "double": 1}


def samples(kind: str) -> tuple[Any, ...]:
    """Values of a type: of a message, dicts by field name; two, so that repeated ones and maps have several."""
    if kind in SCALARS:
        return SCALARS[kind]
    full = {item.name: value_of(item) for item in _ALL[kind] if item.shape != "oneof"}
    first = _ALL[kind][0]
    return ({first.name: value_of(first)}, full) if full else tuple({item.name: value_of(item)} for item in _ALL[kind])


def value_of(item: Field) -> Any:
    """One value of a field."""
    some = samples(item.kind)
    return {"repeated": list(some), "map": {"key": some[-1]}}.get(item.shape, some[0])


def values_of(item: Field) -> tuple[Any, ...]:
    """Values of a field, each to be tried."""
    some = samples(item.kind)
    if item.shape == "repeated":
        return ([some[0]], list(some), [some[0], some[0]])
    if item.shape == "map":
        return tuple({"key": value} for value in some)
    return some


def bytes_of(name: str, told: dict[str, Any]) -> bytes:
    """A message by hand, its fields in the order of their numbers."""
    pairs: list[tuple[int, Any]] = []
    for item in _ALL[name]:
        if item.name not in told:
            continue
        value = told[item.name]
        if item.shape == "map":
            pairs += [(item.number, entry(key, _written(item.kind, one))) for key, one in value.items()]
        else:
            pairs += [(item.number, _written(item.kind, one)) for one in (value if item.shape == "repeated" else [value])]
    return message(*pairs)


def _written(kind: str, value: Any) -> Any:
    return value if kind in SCALARS else bytes_of(kind, value)


def read_as(name: str, data: bytes) -> dict[str, Any]:
    """What a message says, read by hand, and strictly: every number must be stated, every wire type and value its field's.

    Raises:
        AssertionError: it is not what is stated.
    """
    by_number = {item.number: item for item in _ALL[name]}
    told: dict[str, Any] = {}
    for number, wire_type, value in read(data):
        assert number in by_number, f"{name} has no field {number}"
        item = by_number[number]
        if item.shape == "map":
            assert wire_type == 2
            pair = {at: (kind, one) for at, kind, one in read(value)}
            assert set(pair) == {1, 2}, f"an entry of {name}.{item.name} has fields {sorted(pair)}"
            told.setdefault(item.name, {})[_value("string", *pair[1])] = _value(item.kind, *pair[2])
        elif item.shape == "repeated":
            told.setdefault(item.name, []).append(_value(item.kind, wire_type, value))
        else:
            assert item.name not in told, f"{name}.{item.name} comes twice"
            told[item.name] = _value(item.kind, wire_type, value)
    return told


def _value(kind: str, wire_type: int, value: Any) -> Any:
    assert wire_type == _WIRE_TYPES.get(kind, 2), f"wire type {wire_type} for {kind}"
    if kind in {"int32", "int64"}:
        signed = value - 2**64 if value >= 2**63 else value
        assert kind == "int64" or -(2**31) <= signed < 2**31
        return signed
    if kind == "bool":
        assert value in {0, 1}
        return value == 1
    if kind == "string":
        return value.decode()
    return value if kind in SCALARS else read_as(kind, value)
