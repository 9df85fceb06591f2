"""How large a tool's spec may be, and how many there may be. What goes beyond is refused by name; a docstring is cut."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Sized
from typing import TYPE_CHECKING, Any

from snakepit.errors import InvalidToolSpec
from snakepit_bridge.wire.codecs import MsgpackCodec
from snakepit_bridge.wire.plain import Unserialisable

if TYPE_CHECKING:
    from .tools import ParameterSpec, ToolSpec

MAX_NAME = 128  # characters
MAX_DESCRIPTION = 4 * 1024  # characters
MAX_DOC = 64 * 1024  # characters
MAX_PARAMETERS = 256
MAX_METADATA = 64  # entries
MAX_METADATA_KEY = 128  # characters
MAX_METADATA_VALUE = 4 * 1024  # characters
MAX_PARAMETER_NAME = 128  # characters
MAX_ANNOTATION = 16 * 1024  # characters
#: A parameter's default, its schema, a tool's `returns`: each as MessagePack (bytes).
MAX_ENCODED = 64 * 1024
#: All these of a tool together (bytes).
MAX_ENCODED_TOGETHER = 1024 * 1024
MAX_WORKER_TOOLS = 1_000
#: For all calls of a pool, and again for those of each session.
MAX_HOST_TOOLS = 1_000

_CODEC = MsgpackCodec()


def check_number(tools: Sized) -> None:
    """How many tools a worker offers.

    Raises:
        InvalidToolSpec: too many.
    """
    if len(tools) > MAX_WORKER_TOOLS:
        hint = "split the adapter, and give each part a pool of its own"
        message = f"the worker offers {len(tools)} tools; allowed are {MAX_WORKER_TOOLS}"
        raise InvalidToolSpec(message, hint=hint, field="tools", found=len(tools), allowed=MAX_WORKER_TOOLS)


def too_many_host_tools(name: str, session_id: str) -> InvalidToolSpec:
    """No place for another one."""
    where = f"session {session_id!r}" if session_id else "this pool"
    message = f"{where} has {MAX_HOST_TOOLS} host tools, which is all that is allowed; {name!r} would be one more"
    hint = "unregister_tool() those that are done, or let one function serve many names by a parameter"
    return InvalidToolSpec(message, hint=hint, tool=name, session_id=session_id, field="host_tools", allowed=MAX_HOST_TOOLS)


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
    together = _at_most(spec, "returns", _encoded(spec, "returns", spec.returns), MAX_ENCODED, "bytes")
    together += sum(_check_parameter(spec, item) for item in spec.parameters)
    _at_most(spec, "what its parameters hold together", together, MAX_ENCODED_TOGETHER, "bytes")
    return spec if len(spec.doc) <= MAX_DOC else dataclasses.replace(spec, doc=spec.doc[: MAX_DOC - 3] + "...")


def _check_parameter(spec: ToolSpec, parameter: ParameterSpec) -> int:
    """How much its default and schema hold (bytes)."""
    name = parameter.name
    _at_most(spec, f"a parameter's name, {name[:20]!r}...,", len(name), MAX_PARAMETER_NAME, "characters")
    _at_most(spec, f"the annotation of {name!r}", len(parameter.annotation), MAX_ANNOTATION, "characters")
    default = None if parameter.default is inspect.Parameter.empty else parameter.default
    held = 0
    for what, value in (("default", default), ("schema", parameter.schema)):
        field = f"the {what} of {name!r}"
        held += _at_most(spec, field, _encoded(spec, field, value), MAX_ENCODED, "bytes")
    return held


def _encoded(spec: ToolSpec, field: str, value: Any) -> int:
    try:
        return len(_CODEC.encode_value(value))
    except Unserialisable as error:
        message = f"tool {spec.name!r}: {field}{error.path} cannot travel: {error.reason}"
        raise InvalidToolSpec(message, tool=spec.name, field=field) from None


def _at_most(spec: ToolSpec, field: str, found: int, allowed: int, unit: str) -> int:
    if found > allowed:
        message = f"tool {spec.name!r}: {field} has {found} {unit}; allowed are {allowed}"
        raise InvalidToolSpec(message, tool=spec.name, field=field, found=found, allowed=allowed)
    return found
