"""Binary parameters: arguments that travel as the bytes they are, beside the others. Checked before a worker is contacted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snakepit.errors import InvalidBinaryParameter, InvalidParameter

from .argument_errors import unknown_name, usage
from .arguments import takes
from .tools import ToolSpec


def check_binary(spec: ToolSpec, args: Any, binary: Any) -> dict[str, bytes]:
    """The bytes to send. Copies: what the caller changes afterwards does not reach them.

    Args:
        args: the other arguments, by name.
        binary: bytes, bytearray or memoryview by parameter name.

    Raises:
        InvalidParameter: `binary` is not a mapping with text keys, or names what is no parameter.
        InvalidBinaryParameter: a value is not bytes, its name is among `args` too, or its parameter's annotation allows no bytes.
    """
    if not isinstance(binary, Mapping):
        kind = type(binary).__name__
        message = f"{spec.name}(): binary_parameters is a {kind}; allowed is a dict of bytes by parameter name"
        raise InvalidParameter(message, tool=spec.name, parameter="binary_parameters", expected="dict", got=kind)
    named = {item.name for item in spec.parameters if item.kind not in ("var_positional", "var_keyword", "positional_only")}
    takes_any = any(item.kind == "var_keyword" for item in spec.parameters)
    sent = {}
    for name, value in binary.items():
        if not isinstance(name, str) or not _is_text(name):
            kind = type(name).__name__
            came = f"{name!r}, which is no Unicode text" if isinstance(name, str) else f"a {kind}"
            message = f"{spec.name}(): a key of binary_parameters is {came}; allowed are names of parameters"
            raise InvalidParameter(message, tool=spec.name, parameter="binary_parameters", expected="text", got=kind)
        if name not in named and not takes_any:
            raise unknown_name(spec, name)
        if isinstance(args, Mapping) and name in args:
            message = f"{spec.name}(): {name!r} is in args and in binary_parameters"
            raise InvalidBinaryParameter(message, hint="give it in one of them", tool=spec.name, parameter=name)
        sent[name] = _bytes_of(spec, name, value)
        if not takes(spec, name, sent[name]):
            raise _not_binary(spec, name)
    return sent


def _not_binary(spec: ToolSpec, name: str) -> InvalidBinaryParameter:
    """The tool expects something else than bytes there."""
    annotation = next((item.annotation for item in spec.parameters if name == item.name or item.kind == "var_keyword"), "")
    message = f"{spec.name}(): {name!r} is annotated {annotation}, which takes no bytes, and is in binary_parameters"
    hint = f"give it in args; for a binary parameter annotate it with bytes, bytearray or memoryview: {usage(spec)}"
    return InvalidBinaryParameter(message, hint=hint, tool=spec.name, parameter=name, expected=annotation, got="bytes")


def _bytes_of(spec: ToolSpec, name: str, value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    kind, fault = type(value).__name__, ""
    if isinstance(value, memoryview):
        fault = _fault_of(value)
    if isinstance(value, (bytearray, memoryview)) and not fault:
        return bytes(value)
    got = f"a {kind}{fault}"
    hint = "give its bytes, for example array.tobytes() or text.encode(); what is not binary goes into args"
    message = f"{spec.name}(): binary parameter {name!r} is {got}; allowed are bytes, bytearray and contiguous memoryview"
    raise InvalidBinaryParameter(message, hint=hint, tool=spec.name, parameter=name, expected="bytes", got=kind)


def _fault_of(view: memoryview) -> str:
    try:
        return "" if view.contiguous else " that is not contiguous"
    except ValueError:
        return " that has been released"


def _is_text(name: str) -> bool:
    """Lone surrogates cannot travel."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
