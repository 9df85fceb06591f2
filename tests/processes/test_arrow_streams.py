"""Streams of tables: read by what reads Arrow, as they come."""

from __future__ import annotations

import concurrent.futures
import sys
import time
from collections.abc import Iterator

import pandas
import polars
import pyarrow
import pytest

import snakepit
from snakepit.errors import ConfigurationError, SerializationError, ToolError
from table_tools import TableTools

pytestmark = [pytest.mark.usefixtures("leaves_nothing"), pytest.mark.slow]


@pytest.fixture
def pool() -> Iterator[snakepit.Pool]:
    with snakepit.Pool(TableTools, size=1, worker_output="discard") as opened:
        yield opened


def test_batches_are_read_by_pandas_and_polars(pool: snakepit.Pool) -> None:
    """All rows, in order, of the columns' own types."""
    reader = pool.stream("batches", {"count": 4}).to_arrow()
    assert isinstance(reader, pyarrow.RecordBatchReader)
    assert reader.schema.names == ["n", "s"]
    assert reader.read_pandas().equals(pandas.DataFrame({"n": [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3], "s": [*"000111222333"]}))
    found = polars.from_arrow(pool.stream("batches", {"count": 2, "rows": 1}).to_arrow())
    assert found.to_dict(as_series=False) == {"n": [0, 1], "s": ["0", "1"]}


def test_tables_and_frames_are_read_too(pool: snakepit.Pool) -> None:
    """Of Arrow, pandas and polars, in one stream, where they have the same columns."""
    schema = pyarrow.schema({"n": pyarrow.int64()})
    found = [batch.remove_metadata() if hasattr(batch, "remove_metadata") else batch for batch in pool.stream("tables").to_arrow(schema)]
    assert [value for batch in found for value in batch.column(0).to_pylist()] == [1, 2, 3, 4]


def test_several_threads_read_one_reader(pool: snakepit.Pool) -> None:
    """As query engines do: each batch comes to one of them."""
    reader = pool.stream("batches", {"count": 200, "rows": 1}).to_arrow()
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        found = [number for part in threads.map(_all, [reader] * 4) for number in part]
    assert sorted(found) == list(range(200))


def _all(reader: pyarrow.RecordBatchReader) -> list[int]:
    found = []
    while True:
        try:
            found.append(reader.read_next_batch().column(0)[0].as_py())
        except StopIteration:
            return found


def test_it_is_read_as_it_comes_and_may_be_left(pool: snakepit.Pool) -> None:
    """Of a stream that never ends the first batches are read; when the reader is dropped, the tool ends."""
    reader = pool.stream("endless").to_arrow()
    assert [reader.read_next_batch().column(0)[0].as_py() for _ in range(3)] == [0, 1, 2]
    assert pool.stats().running == 1
    del reader
    end = time.monotonic() + 10
    while pool.stats().running:
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ("text", "chunk 1 of odd is a builtins.str"),
        ("columns", "chunk 1 of odd has other columns than those before: m int64; not n int64"),
        ("frame", "chunk 1 of odd has other columns"),
    ],
)
def test_what_is_no_such_table_is_named(pool: snakepit.Pool, second: str, said: str) -> None:
    """The error says which chunk it was, and what it is; what came before has been read."""
    reader = pool.stream("odd", {"second": second}).to_arrow()
    assert reader.read_next_batch().num_rows == 1
    with pytest.raises(SerializationError, match=said):
        reader.read_next_batch()


def test_a_tool_that_fails_is_told(pool: snakepit.Pool) -> None:
    """Its error comes out of the reader as it would out of the stream."""
    reader = pool.stream("fails").to_arrow()
    assert reader.read_next_batch().num_rows == 1
    with pytest.raises(ToolError, match="in the middle"):
        reader.read_next_batch()


def test_an_empty_stream_needs_a_schema(pool: snakepit.Pool) -> None:
    """Nobody knows its columns; with a schema it is an empty table."""
    with pytest.raises(SerializationError, match="batches has yielded nothing"):
        pool.stream("batches", {"count": 0}).to_arrow()
    schema = pyarrow.schema({"n": pyarrow.int64()})
    assert pool.stream("batches", {"count": 0}).to_arrow(schema).read_all().equals(schema.empty_table())


def test_tables_without_rows_have_columns(pool: snakepit.Pool) -> None:
    """A filter that finds nothing is an empty table; a tool that returns one table is a stream of it."""
    found = pool.stream("batches", {"count": 2, "rows": 0}).to_arrow().read_all()
    assert (found.num_rows, found.schema.names) == (0, ["n", "s"])
    assert pool.stream("empty").to_arrow().read_all().schema.names == ["n"]
    assert pool.stream("one").to_arrow().read_all().to_pydict() == {"n": [1, 2]}


def test_wrong_readers_are_told(pool: snakepit.Pool) -> None:
    """A schema that is none, one that does not fit, and a stream that has been read."""
    with pytest.raises(ConfigurationError, match="schema is a dict; allowed is a pyarrow.Schema, or None"):
        pool.stream("one").to_arrow({"n": int})
    with pytest.raises(SerializationError, match="chunk 0 of one has other columns than the schema that was given: n int64; not n double"):
        pool.stream("one").to_arrow(pyarrow.schema({"n": pyarrow.float64()}))
    stream = pool.stream("batches", {"count": 1})
    stream.to_arrow().read_all()
    with pytest.raises(SerializationError, match="has been read already"):
        stream.to_arrow()


def test_without_pyarrow_it_says_what_to_install(pool: snakepit.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command, for this interpreter."""
    stream = pool.stream("batches", {"count": 1})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigurationError, match="to_arrow needs pyarrow") as caught:
        stream.to_arrow()
    assert "install" in (caught.value.hint or "")
    stream.close()
