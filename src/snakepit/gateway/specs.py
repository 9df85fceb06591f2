"""Tools as the gateway's clients see them: messages of the public service from a pool's specs. Pure."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage

from snakepit._pool.tools import ParameterSpec, ToolSpec
from snakepit.remote import words
from snakepit_bridge.bridge import values
from snakepit_bridge.bridge.plain import dumps
from snakepit_bridge.grpc import snakepit_pb2 as pb

#: What the service calls the kinds of values, by JSON schema's words.
_TYPES = {"integer": "integer", "number": "float", "string": "string", "boolean": "boolean", "array": "list", "object": "map"}


def messages(specs: Iterable[ToolSpec], *, whole: bool) -> list[Any]:
    """Tool specs as messages.

    Args:
        whole: the client is one of ours, which reads everything that a spec says.
    """
    return [
        pb.ToolSpec(
            name=spec.name,
            description=spec.description,
            parameters=[_parameter(item) for item in spec.parameters],
            metadata={**spec.metadata, **({words.WHOLE: words.as_text(spec.to_dict())} if whole else {})},
            supports_streaming=spec.streaming,
        )
        for spec in specs
    ]


def _parameter(item: ParameterSpec) -> Any:
    kind = item.schema.get("type")
    spec = pb.ParameterSpec(name=item.name, type=_TYPES.get(kind, "any") if isinstance(kind, str) else "any", required=item.required)
    if item.default is not inspect.Parameter.empty:
        packed = values.parameter(item.default)
        spec.default_value.CopyFrom(AnyMessage(type_url=packed.type_url, value=packed.value))
    if item.schema:
        spec.validation_json = dumps(item.schema).decode("utf-8")
    return spec
