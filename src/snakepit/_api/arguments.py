"""What every call goes through before it leaves: is there such a tool, do the arguments fit, does the style fit."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

from snakepit._pool.arguments import check
from snakepit._pool.binary import check_binary
from snakepit._pool.failures import argument_error, streams_error
from snakepit._pool.tools import ToolSpec, unknown_tool
from snakepit.config import check_timeout
from snakepit.errors import InvalidParameter
from snakepit_bridge.wire.plain import Unserialisable
from snakepit_bridge.wire.settling import settled

#: `stream(timeout=POOL_DEFAULT)`: the pool's `stream_timeout`, 300 s unless set otherwise.
POOL_DEFAULT: Any = type("_PoolDefault", (), {"__repr__": lambda _: "300.0"})()


def checked_call(
    tools: Mapping[str, ToolSpec],
    tool: str,
    args: Mapping[str, Any] | None,
    binary: Any,
    *,
    streaming: bool,
    others: Collection[str] = (),
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """(the arguments to send, the binary parameters to send).

    Args:
        others: names of arguments that are given beside them.

    Raises:
        UnknownTool: no worker offers it.
        InvalidParameter: an argument is missing, unknown or of the wrong type.
        InvalidBinaryParameter: a binary parameter is not bytes, or an argument too.
        WrongCallStyle: one result was asked of a tool that streams.
    """
    spec = tools.get(tool) if isinstance(tool, str) else None
    if spec is None:
        raise unknown_tool(tool, tools)
    if spec.streaming and not streaming:
        raise streams_error(tool)
    if binary is None:
        return check(spec, args, others), {}
    sent = check_binary(spec, {**(args or {}), **dict.fromkeys(others)} if others else args, binary)
    return check(spec, args, {*others, *sent} if others else sent), sent


def settled_arguments(tool: str, args: dict[str, Any], no_pickle: str = "") -> dict[str, Any]:
    """With what they say of themselves in the place of objects, whose code runs here, in the caller's thread.

    Raises:
        SerializationError: one says nothing, or its code failed.
    """
    try:
        return cast("dict[str, Any]", settled(args))
    except Unserialisable as error:
        raise argument_error(tool, error.path, error, no_pickle) from error


def called(tools: Mapping[str, ToolSpec], tool: str) -> ToolSpec:
    """The tool of a name, for one result.

    Raises:
        UnknownTool: no worker offers it.
        WrongCallStyle: it streams.
    """
    spec = tools.get(tool) if isinstance(tool, str) else None
    if spec is None:
        raise unknown_tool(tool, tools)
    if spec.streaming:
        raise streams_error(tool)
    return spec


def call_timeout(name: str, value: float | None) -> float | None:
    """A call's time limit, checked: seconds above 0, or None."""
    return check_timeout(name, value, error=InvalidParameter)


def check_callback(name: str, value: Any, *, optional: bool = True) -> None:
    """Refuse a callback that cannot be called.

    Raises:
        InvalidParameter: it cannot.
    """
    if not callable(value) and not (value is None and optional):
        raise InvalidParameter(f"{name} is {value!r}; allowed is a function that takes one argument", field=name)
