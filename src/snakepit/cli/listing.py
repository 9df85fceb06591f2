"""What `snakepit tools` shows: one row of words per tool, and one plain document per tool.

Pure: from tool specs to text. `tools_command` prints them, as a table or as lines of JSON.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from snakepit._pool.tools import ParameterSpec, ToolSpec

HEADINGS = ("TOOL", "PARAMETERS", "STREAMS", "DESCRIPTION")

_STARS = {"var_positional": "*", "var_keyword": "**"}
_LONGEST_DEFAULT = 40


def row(tool: ToolSpec, separator: str = ", ") -> tuple[str, str, str, str]:
    """A tool's name, its parameters, "yes" if it streams, and its description."""
    parameters = separator.join(parameter_text(parameter) for parameter in tool.parameters)
    return tool.name, parameters, "yes" if tool.streaming else "", " ".join(tool.description.split())


def parameter_text(parameter: ParameterSpec) -> str:
    """A parameter as Python writes it: `count: int = 5`, `**options`; a default that cannot travel is `...`."""
    kind = parameter.annotation or _schema_words(parameter.schema)
    text = _STARS.get(parameter.kind, "") + parameter.name + (f": {kind}" if kind else "")
    if parameter.required or parameter.kind in _STARS:
        return text
    return f"{text} = {_default(parameter)}" if kind else f"{text}={_default(parameter)}"


def columns(rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows as lines with aligned columns, headings first; nothing is cut."""
    listed = [HEADINGS, *rows]
    widths = [max(len(cells[index]) for cells in listed) for index in range(len(HEADINGS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip() for cells in listed]


def document(tool: ToolSpec) -> dict[str, Any]:
    """A tool spec as plain data; a parameter without a default that can travel has no `default`."""
    facts = asdict(tool)
    for parameter in facts["parameters"]:
        if parameter["default"] is inspect.Parameter.empty:
            del parameter["default"]
    return facts


def _default(parameter: ParameterSpec) -> str:
    if parameter.default is inspect.Parameter.empty:
        return "..."
    text = repr(parameter.default)
    return text if len(text) <= _LONGEST_DEFAULT else f"{text[: _LONGEST_DEFAULT - 3]}..."


def _schema_words(schema: Mapping[str, Any]) -> str:
    """A schema's types as a word or two, for parameters whose annotation is not known."""
    if "anyOf" in schema:
        return " | ".join(_schema_words(option) or "any" for option in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(repr(value) for value in schema["enum"])
    return str(schema.get("type", ""))
