"""The tables of the reference say what the code says: read in a checkout, they are all that a reader has."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import typing
from pathlib import Path
from typing import Any

import pytest

import snakepit
import snakepit_bridge
from snakepit import errors
from snakepit._api import guide
from snakepit.config import PoolConfig, PoolSettings

_REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"

Rows = list[dict[str, str]]


def _tables(page: str, heading: str) -> list[Rows]:
    """The tables below a heading, up to the next one; each row by its column's name, without backticks."""
    text = (_REFERENCE / page).read_text(encoding="utf-8")
    (section,) = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", text, re.MULTILINE | re.DOTALL)
    tables = []
    for block in re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE):
        head, _, *rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in block.splitlines()]
        assert all(len(row) == len(head) for row in rows), block
        tables.append([dict(zip(head, row, strict=True)) for row in rows])
    return tables


def _code(cell: str) -> str:
    return cell.strip("`")


def _first_column(rows: Rows) -> list[str]:
    return [_code(next(iter(row.values()))) for row in rows]


def _as_read(function: Any) -> str:
    """Name and signature without annotations and `self`."""
    signature = inspect.signature(function)
    parameters = [item.replace(annotation=item.empty) for item in signature.parameters.values() if item.name != "self"]
    return f"{function.__name__}{signature.replace(parameters=parameters, return_annotation=signature.empty)}"


def test_every_setting_stands_there_with_its_type_and_default() -> None:
    """The table of settings has each field of `PoolSettings`, no other, and the defaults of a pool that is told nothing."""
    (rows,) = _tables("api.md", "Settings")
    defaults = {
        field.name: field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
        for field in dataclasses.fields(PoolConfig)
    }
    defaults["size"] = None  # the one that a pool works out
    defaults["heartbeat"] = defaults["retry"] = True  # stands for the usual one
    told = {_code(row["setting"]): ast.literal_eval(_code(row["default"])) for row in rows}
    assert _first_column(rows) == list(PoolSettings.__annotations__)
    assert told == defaults
    types = [str(getattr(item, "__forward_arg__", item)) for item in PoolSettings.__annotations__.values()]
    assert [_code(row["type"]) for row in rows] == [text.replace(" | ", " or ").replace("'", '"') for text in types]


def test_every_time_has_its_unit() -> None:
    """A setting that is a time says that it is in seconds."""
    (rows,) = _tables("api.md", "Settings")
    times = {_code(row["setting"]) for row in rows if row["unit"] == "seconds"}
    assert times == {name for name in PoolSettings.__annotations__ if name.endswith(("_timeout", "_window", "_ttl", "_age"))}


@pytest.mark.parametrize("pool", [snakepit.Pool, snakepit.AsyncPool])
def test_every_method_stands_there_as_it_is_called(pool: type) -> None:
    """The table of methods has the public ones of both pools, with their parameters and defaults."""
    rows = _tables("api.md", "Methods")[0]
    public = {name: value for name, value in inspect.getmembers(pool) if not name.startswith("_")}
    alone = set() if pool is snakepit.Pool else {_as_read(snakepit.Pool.as_executor)}
    assert set(_first_column(rows)) - alone == {name if isinstance(value, property) else _as_read(value) for name, value in public.items()}


def test_every_function_of_the_default_pool_stands_there() -> None:
    """The table of the default pool has its functions, with their parameters and defaults."""
    calls = [snakepit.execute, snakepit.execute_in_session, snakepit.execute_stream, snakepit.execute_in_session_stream]
    functions = [snakepit.configure, *calls, snakepit.with_adapter, snakepit.shutdown, snakepit.stats]
    assert _first_column(_tables("api.md", "The default pool")[0]) == [_as_read(function) for function in functions]


def test_every_key_of_the_guide_stands_there() -> None:
    """The table of the guide's keys says which setting each of them is."""
    expected = {**guide._TOP_KEYS, "adapter_module": "protocol", "adapters": "protocol"}
    for group, keys in guide._GROUPS.items():
        expected.update({f'{group}["{key}"]': setting for key, setting in keys.items()})
    rows = _tables("api.md", "The default pool")[1]
    assert {_code(row["key"]): row["same as"].split("`")[1] for row in rows} == expected


def test_every_field_of_health_stands_there() -> None:
    """The tables of a pool's health and of a worker's have the fields in their order."""
    kinds = (snakepit.PoolHealth, snakepit.WorkerHealth)
    tables = _tables("api.md", "Health")
    assert list(map(_first_column, tables)) == [[field.name for field in dataclasses.fields(kind)] for kind in kinds]


@pytest.mark.parametrize(
    ("heading", "kind"), [("Stats", snakepit.PoolStats), ("Workers", snakepit.WorkerInfo), ("Tool specs", snakepit.ToolSpec)]
)
def test_every_field_of_a_view_stands_there(heading: str, kind: Any) -> None:
    """The tables of stats, workers and tool specs have the fields in their order."""
    assert _first_column(_tables("api.md", heading)[0]) == [field.name for field in dataclasses.fields(kind)]


def test_every_argument_of_the_decorator_stands_there() -> None:
    """The table of `@tool` has its arguments and their defaults."""
    (rows,) = _tables("tools.md", "The decorator")
    parameters = [item for item in inspect.signature(snakepit_bridge.tool).parameters.values() if item.kind is item.KEYWORD_ONLY]
    assert {_code(row["argument"]): ast.literal_eval(_code(row["default"])) for row in rows} == {
        item.name: item.default for item in parameters
    }


def test_every_member_of_a_context_stands_there() -> None:
    """The table of the call's context has what tools may use, and nothing that is the runtime's alone."""
    (rows,) = _tables("tools.md", "The call's context")
    runtime = {
        "ask_through",
        "belong_to",
        "leave",
        "listener",
        "mark_cancelled",
        "mark_ended",
        "raise_through",
        "report_to",
        "shielded_for",
    }
    context = snakepit_bridge.CallContext(1, "tool")
    assert {name.partition("(")[0] for name in _first_column(rows)} == {name for name in dir(context) if not name.startswith("_")} - runtime


def test_every_place_for_output_stands_there() -> None:
    """The table of `worker_output` has the values it takes."""
    literal, _ = typing.get_args(typing.get_type_hints(PoolSettings)["worker_output"])
    (rows,) = _tables("tools.md", "Prints and logs")
    assert [name.strip('"') for name in _first_column(rows)] == [*typing.get_args(literal), "a function"]


def test_every_error_stands_there() -> None:
    """The table of errors has each class, what it derives from, and its code."""
    kinds = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, errors.SnakepitError)]
    expected = {
        kind.__name__: (
            "" if kind is errors.SnakepitError else kind.__bases__[0].__name__,
            "".join(base.__name__ for base in kind.__bases__[1:]),
            kind.__dict__.get("code", ""),
        )
        for kind in kinds
    }
    (rows,) = _tables("errors.md", "Errors")
    assert {_code(row["error"]): (_code(row["of"]), _code(row["also a"]), _code(row["code"])) for row in rows} == expected
