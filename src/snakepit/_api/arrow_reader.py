"""A stream of tables as a `pyarrow.RecordBatchReader`: pandas, polars, DuckDB and whatever else reads Arrow take it as it comes."""

from __future__ import annotations

import importlib
import itertools
import sys
import threading
from collections.abc import Iterator
from typing import Any

from snakepit.errors import ConfigurationError, SerializationError
from snakepit_bridge.wire.installed import install_command, is_installed

_ALLOWED = "record batches and tables of Arrow, and what becomes one: frames of pandas and polars"


def arrow_reader(values: Iterator[Any], tool: str, schema: Any = None) -> Any:
    """A reader of what a stream gives, batch by batch; it is read no faster than the reader is.

    Args:
        values: what the tool yields. tool: its name, for messages.
        schema: of all of them; None: the first one's, for which this waits.

    Raises:
        ConfigurationError: pyarrow is not installed.
        SerializationError: the first value is no table, or there is none and no `schema`. Later ones raise it where they are read.
    """
    try:
        pyarrow: Any = importlib.import_module("pyarrow")
    except ImportError as error:
        hint = install_command(sys.executable, "'snakepit-bridge[arrow]'", has_pip=is_installed("pip"))
        raise ConfigurationError(f"to_arrow needs pyarrow: {error}", hint=hint) from error
    if schema is not None and not isinstance(schema, pyarrow.Schema):
        kind = type(schema).__name__
        raise ConfigurationError(f"schema is a {kind}; allowed is a pyarrow.Schema, or None", hint="pyarrow.schema([...])", field="schema")
    batches = _batches(pyarrow, values, tool, schema)
    first = next(batches, None)
    if first is None and schema is None:
        message = f"{tool} has yielded nothing, or has been read already, so that nobody knows its columns"
        raise SerializationError(message, hint="give them: stream.to_arrow(schema)", tool=tool)
    columns = schema if schema is not None else getattr(first, "schema", None)
    return pyarrow.RecordBatchReader.from_batches(columns, _InTurn(itertools.chain(() if first is None else (first,), batches)))


class _InTurn:
    """Batches for whoever asks next: the library's readers are read by several threads at once."""

    def __init__(self, batches: Iterator[Any]) -> None:
        self._batches = batches
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        with self._lock:
            return next(self._batches)


def _batches(pyarrow: Any, values: Iterator[Any], tool: str, schema: Any) -> Iterator[Any]:
    others = "those before" if schema is None else "the schema that was given"
    for number, value in enumerate(values):
        table = value if isinstance(value, pyarrow.RecordBatch) else _table(pyarrow, value, tool, number)
        # A table without rows has no batches, and still has columns.
        found = [table] if isinstance(table, pyarrow.RecordBatch) else table.to_batches() or [_empty(pyarrow, table.schema)]
        for batch in found:
            schema = batch.schema if schema is None else schema
            if not batch.schema.equals(schema):
                message = f"chunk {number} of {tool} has other columns than {others}: {_columns(batch.schema)}; not {_columns(schema)}"
                raise SerializationError(message, hint="let the tool give each batch the same schema", tool=tool)
            yield batch


def _empty(pyarrow: Any, schema: Any) -> Any:
    return pyarrow.RecordBatch.from_arrays([pyarrow.array([], field.type) for field in schema], schema=schema)


def _table(pyarrow: Any, value: Any, tool: str, number: int) -> Any:
    if isinstance(value, pyarrow.Table):
        return value
    try:
        if hasattr(value, "__arrow_c_stream__") or type(value).__module__.partition(".")[0] == "pandas":
            return pyarrow.table(value)
        reason = ""
    except (pyarrow.ArrowException, TypeError, ValueError) as error:
        reason = f", which Arrow does not take: {error}"
    message = f"chunk {number} of {tool} is a {type(value).__module__}.{type(value).__qualname__}{reason}"
    raise SerializationError(message, hint=f"to_arrow reads {_ALLOWED}", tool=tool)


def _columns(schema: Any) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)
