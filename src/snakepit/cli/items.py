"""Takes apart what stands behind `snakepit run TOOL`: `key=value`, `key:=JSON`, `key=@file`, and `--args FILE|-`.

Promises: whatever is malformed, missing or unreadable raises `InvalidParameter`, which names the key, what came and
what is allowed; nothing here needs a worker, so it is found before one starts. Called by `run_command` alone.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, NoReturn

from snakepit.errors import InvalidParameter

How = Literal["text", "json", "file"]

FORMS = "key=value, key:=JSON and key=@file"
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Item:
    """One argument as given: `value` is text for "text", any value for "json", and the file's bytes for "file"."""

    key: str
    how: How
    value: Any
    origin: str = ""


def shown(text: str) -> str:
    """A value as an error shows it: quoted, and cut when it is long."""
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r}... ({len(text)} characters)"


def load_items(texts: Iterable[str]) -> tuple[Item, ...]:
    """All items of a command line, files read and JSON parsed.

    Raises:
        InvalidParameter: an item is malformed, given twice, no JSON, or its file cannot be read.
    """
    items: dict[str, Item] = {}
    for text in texts:
        item = _load(text)
        if item.key in items:
            raise InvalidParameter(f"{item.key}: given twice, allowed is once", parameter=item.key)
        items[item.key] = item
    return tuple(items.values())


def load_base(path: str, stdin: BinaryIO | None) -> dict[str, Any]:
    """The JSON object that `--args FILE|-` names.

    Raises:
        InvalidParameter: the file cannot be read, or holds something else than a JSON object.
    """
    where = "standard input" if path == "-" else path
    try:
        text = _read(stdin) if path == "-" else Path(path).expanduser().read_bytes()
        value = strict_json(text.decode("utf-8"))
    except OSError as error:
        raise InvalidParameter(f"--args: cannot read {where}: {_reason(error)}") from error
    except UnicodeDecodeError as error:
        raise InvalidParameter(f"--args: {where} is no UTF-8 text, allowed is a JSON object") from error
    except ValueError as error:
        raise InvalidParameter(f"--args: {where} is not JSON ({error}), allowed is a JSON object") from error
    if not isinstance(value, dict):
        raise InvalidParameter(f"--args: {where} holds {json_kind(value)}, allowed is a JSON object of the tool's parameters by name")
    return value


def strict_json(text: str) -> Any:
    """The value of a JSON text, by the letter of the standard: `NaN` and `Infinity` are none.

    Raises:
        ValueError: it is not JSON; the message is short and says where.
    """
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        where = f"column {error.colno}" if error.lineno == 1 else f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"{error.msg} at {where}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits:.40} is beyond what a number with a fraction or an exponent can be")
    return number


def json_kind(value: Any) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    kinds = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "an array", dict: "an object"}
    return kinds[type(value)]


def _load(text: str) -> Item:
    key, mark, value = text.partition("=")
    if not mark or key in ("", ":"):
        raise InvalidParameter(f"{shown(text)} is no argument for the tool, allowed are {FORMS}", hint=_hint(text))
    _check_text(key, value)
    if key.endswith(":"):
        return _load_json(key[:-1], value)
    if value.startswith("@"):
        return _load_file(key, value[1:])
    return Item(key, "text", value)


def _load_json(key: str, value: str) -> Item:
    try:
        return Item(key, "json", strict_json(value))
    except ValueError as error:
        raise InvalidParameter(
            f"{key}: got {shown(value)}, allowed is JSON ({error})",
            hint=f"for plain text write {key}=...; the shell needs quotes around JSON: '{key}:=[1, 2]'",
            parameter=key,
        ) from error


def _load_file(key: str, path: str) -> Item:
    try:
        if not path:
            raise FileNotFoundError(None, "no file is named after @")
        return Item(key, "file", Path(path).expanduser().read_bytes(), path)
    except (OSError, RuntimeError, ValueError) as error:
        raise InvalidParameter(
            f"{key}: cannot read the file {shown(path)}: {_reason(error)}",
            hint=f"if the text itself begins with @, write '{key}:=\"@...\"'",
            parameter=key,
        ) from error


def _check_text(key: str, value: str) -> None:
    """Arguments that are no UTF-8 reach Python as lone surrogates, which cannot travel."""
    try:
        (key + value).encode("utf-8")
    except UnicodeEncodeError as error:
        name = os.fsencode(key).decode("utf-8", "backslashreplace")
        raise InvalidParameter(
            f"{name}: the value is no UTF-8 text",
            hint="put the bytes into a file and give key=@file",
            parameter=name,
        ) from error


def _read(stdin: BinaryIO | None) -> bytes:
    if stdin is None:
        raise OSError(None, "it is closed")
    return stdin.read()


def _hint(text: str) -> str:
    if text.isidentifier():
        return f"give {text} a value: {text}=..."
    return "name the parameter that takes it; `snakepit tools` lists every tool's parameters"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
