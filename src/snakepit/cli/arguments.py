"""The arguments of one call, from the command line's items and the tool's own parameters.

Pure. Promises: an unknown tool or parameter and a text that cannot be converted are told with what is allowed; `--args`
gives the base and `key=...` overrides it. What is missing or of the wrong type is left to the pool, which checks every call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from snakepit._pool.argument_errors import unknown_name, usage
from snakepit._pool.tools import ToolSpec, unknown_tool
from snakepit.errors import InvalidParameter

from .conversion import Unconvertible, from_file, from_text
from .items import Item, shown


def find_tool(name: str, tools: Iterable[ToolSpec], adapter: str | None) -> ToolSpec:
    """The tool of that name.

    Raises:
        UnknownTool: the adapter has none; the message names those that are near and those that exist.
    """
    by_name = {tool.name: tool for tool in tools}
    if name in by_name:
        return by_name[name]
    error = unknown_tool(name, by_name)
    if adapter is None:
        error.hint += " (the showcase's; --adapter names your own)"
    raise error


def build_arguments(tool: ToolSpec, items: Iterable[Item], base: Mapping[str, Any]) -> dict[str, Any]:
    """The call's arguments, by parameter name.

    Raises:
        InvalidParameter: a parameter is unknown, or its text cannot be converted.
    """
    arguments = dict(base)
    for key in base:
        _schema_of(tool, key)
    for item in items:
        arguments[item.key] = _value(tool, item)
    return arguments


def _value(tool: ToolSpec, item: Item) -> Any:
    schema = _schema_of(tool, item.key)
    if item.how == "json":
        return item.value
    try:
        return from_text(item.value, schema) if item.how == "text" else from_file(item.value, schema)
    except Unconvertible as error:
        what = shown(item.value) if item.how == "text" else f"the file {shown(item.origin)}"
        message = f"{item.key}: got {what}, allowed is {error}"
        raise InvalidParameter(message, hint=usage(tool), tool=tool.name, parameter=item.key) from error


def _schema_of(tool: ToolSpec, key: str) -> Mapping[str, Any]:
    """What the tool's parameter `key` takes; `*args` takes a list under its name, `**kwargs` any other key."""
    others: Mapping[str, Any] | None = None
    for parameter in tool.parameters:
        if parameter.kind == "var_keyword":
            others = parameter.schema
        elif parameter.name == key:
            return {"type": "array", "items": parameter.schema} if parameter.kind == "var_positional" else parameter.schema
    if others is None:
        raise unknown_name(tool, key)
    return others
