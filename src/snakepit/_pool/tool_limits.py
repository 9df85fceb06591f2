"""How large a tool's spec may be. What goes beyond is refused by name; a docstring, which is its author's, is cut."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from snakepit.errors import InvalidToolSpec

if TYPE_CHECKING:
    from .tools import ToolSpec

MAX_NAME = 128  # characters
MAX_DESCRIPTION = 4 * 1024  # characters
MAX_DOC = 64 * 1024  # characters
MAX_PARAMETERS = 256
MAX_METADATA = 64  # entries
MAX_METADATA_KEY = 128  # characters
MAX_METADATA_VALUE = 4 * 1024  # characters


def check_limits(spec: ToolSpec) -> ToolSpec:
    """The spec, its docstring cut to `MAX_DOC` characters.

    Raises:
        InvalidToolSpec: something else of it is too large, or its name cannot be one.
    """
    name = spec.name
    if len(name) > MAX_NAME or not name.isprintable() or name != name.strip():
        shown = repr(name) if len(name) <= MAX_NAME else f"{name[:40]!r}... ({len(name)} characters)"
        allowed = f"1 to {MAX_NAME} printable characters without blanks at the ends"
        raise InvalidToolSpec(f"a tool's name is {shown}; allowed are {allowed}", hint='@tool(name="...") gives it another', field="name")
    _at_most(spec, "description", len(spec.description), MAX_DESCRIPTION, "characters")
    _at_most(spec, "parameters", len(spec.parameters), MAX_PARAMETERS, "entries")
    _at_most(spec, "metadata", len(spec.metadata), MAX_METADATA, "entries")
    for key, value in spec.metadata.items():
        _at_most(spec, f"a key of metadata, {key[:20]!r}...,", len(key), MAX_METADATA_KEY, "characters")
        _at_most(spec, f"metadata[{key!r}]", len(value), MAX_METADATA_VALUE, "characters")
    return spec if len(spec.doc) <= MAX_DOC else dataclasses.replace(spec, doc=spec.doc[: MAX_DOC - 3] + "...")


def _at_most(spec: ToolSpec, field: str, found: int, allowed: int, unit: str) -> None:
    if found > allowed:
        message = f"tool {spec.name!r}: {field} has {found} {unit}; allowed are {allowed}"
        raise InvalidToolSpec(message, tool=spec.name, field=field, found=found, allowed=allowed)
