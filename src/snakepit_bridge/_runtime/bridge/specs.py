"""Tools as the public service describes them: from the specs that a worker has of its own, and from those of a host."""

from typing import Any, Dict, Iterable, List

from google.protobuf.any_pb2 import Any as AnyMessage

from ...bridge import values
from ...bridge.plain import dumps
from ...grpc import snakepit_pb2 as pb

#: What the service calls the kinds of values, by JSON schema's words.
_TYPES = {"integer": "integer", "number": "float", "string": "string", "boolean": "boolean", "array": "list", "object": "map"}


def tool_specs(tools: Iterable[Dict[str, Any]], kind: Any) -> List[Any]:
    """Messages of a kind (`ToolSpec`, `ToolRegistration`: both have the same fields) for specs of this library."""
    return [
        kind(
            name=tool["name"],
            description=tool["description"],
            parameters=[_parameter(item) for item in tool["parameters"]],
            metadata=values.texts(tool["metadata"]),
            supports_streaming=tool["streaming"],
        )
        for tool in tools
    ]


def _parameter(item: Dict[str, Any]) -> Any:
    schema = item.get("schema") or {}
    kind = schema.get("type")
    spec = pb.ParameterSpec(name=item["name"], type=_TYPES.get(kind, "any") if isinstance(kind, str) else "any", required=item["required"])
    if "default" in item:
        packed = values.parameter(item["default"])
        spec.default_value.CopyFrom(AnyMessage(type_url=packed.type_url, value=packed.value))
    if schema:
        spec.validation_json = dumps(schema).decode("utf-8")
    return spec


def read_specs(tools: Iterable[Any]) -> List[Dict[str, Any]]:
    """What a host offers, as tools see it: `host_tools.specs()`."""
    return [
        {
            "name": tool.name,
            "description": tool.description,
            "streaming": tool.supports_streaming,
            "parameters": [{"name": item.name, "required": item.required, "annotation": item.type} for item in tool.parameters],
        }
        for tool in tools
    ]
