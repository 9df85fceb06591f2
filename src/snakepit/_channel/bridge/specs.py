"""Tools as a foreign server describes them, in the form in which a worker of ours announces its own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from snakepit_bridge.bridge.values import BadParameter, argument

#: A server's spec may say less than its tool takes: further arguments go through.
_MORE = {"name": "more", "kind": "var_keyword", "required": False, "annotation": "", "schema": {}}
_TYPES = {"integer": "integer", "float": "number", "string": "string", "boolean": "boolean", "list": "array", "map": "object"}


def specs_of(tools: Iterable[Any]) -> list[dict[str, Any]]:
    """Of `ToolSpec` or `ToolRegistration` messages."""
    return [
        {
            "name": tool.name,
            "description": tool.description,
            "doc": "",
            # It is the server that knows whether a tool streams: one that does not say so may all the same.
            "streaming": False,
            "asynchronous": False,
            "idempotent": False,
            "metadata": dict(tool.metadata),
            "parameters": [*map(_parameter, tool.parameters), _MORE],
            "returns": {},
        }
        for tool in tools
        if tool.name
    ]


def _parameter(item: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": item.name,
        "kind": "keyword_only",
        "required": bool(item.required),
        "annotation": item.type,
        "schema": {},
    }
    schema = _schema(item)
    if schema:
        told["schema"] = schema
    if item.HasField("default_value"):
        try:
            told["default"] = argument(item.name, item.default_value.type_url, item.default_value.value)
        except BadParameter:
            told["default"] = None
    return told


def _schema(item: Any) -> dict[str, Any]:
    try:
        schema = json.loads(item.validation_json or "null")
    except ValueError:
        schema = None
    if isinstance(schema, dict) and "type" in schema:
        return schema
    return {"type": _TYPES[item.type]} if item.type in _TYPES else {}
