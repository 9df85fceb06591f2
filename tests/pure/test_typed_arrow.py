"""Arrow tables and record batches arrive equal, with their chunks and schema, without a copy; a false stream is told in words."""

from __future__ import annotations

import datetime
from typing import Any

import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakepit_bridge.wire.typed import Malformed, pack, unpack


def arrived(value: Any, *, join: bool = False) -> Any:
    """What becomes of a value, in the parts that it was packed in or joined."""
    packed = pack(value)
    assert packed is not None
    return unpack(packed.kind, packed.meta, [b"".join(packed.buffers)] if join else packed.buffers)


cells: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (pyarrow.int8(), st.integers(-128, 127)),
    (pyarrow.uint64(), st.integers(0, 2**64 - 1)),
    (pyarrow.float64(), st.floats(allow_nan=False)),
    (pyarrow.bool_(), st.booleans()),
    (pyarrow.string(), st.text(max_size=5)),
    (pyarrow.large_binary(), st.binary(max_size=5)),
    (pyarrow.binary(3), st.binary(min_size=3, max_size=3)),
    (pyarrow.decimal128(9, 2), st.decimals(-1000, 1000, places=2)),
    (pyarrow.timestamp("us", "Europe/Berlin"), st.datetimes(datetime.datetime(1970, 1, 2), datetime.datetime(2100, 1, 1))),
    (pyarrow.null(), st.none()),
    (pyarrow.dictionary(pyarrow.int8(), pyarrow.string()), st.sampled_from(["a", "b"])),
    (pyarrow.list_(pyarrow.field("item", pyarrow.int16(), metadata={"k": "v"})), st.lists(st.integers(0, 9), max_size=3)),
    (
        pyarrow.struct([("x", pyarrow.int8()), ("y", pyarrow.list_(pyarrow.string()))]),
        st.fixed_dictionaries({"x": st.just(1), "y": st.just(["z"])}),
    ),
    (pyarrow.map_(pyarrow.string(), pyarrow.int32()), st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9)), max_size=2)),
]


@st.composite
def tables(draw: st.DrawFn) -> Any:
    """A table of any columns, in any chunks."""
    columns = draw(st.lists(st.sampled_from(cells), max_size=4))
    chunks = []
    for rows in draw(st.lists(st.integers(0, 4), max_size=3)):
        arrays = [pyarrow.array(draw(st.lists(st.none() | cell, min_size=rows, max_size=rows)), kind) for kind, cell in columns]
        chunks.append(pyarrow.Table.from_arrays(arrays, schema=_schema(columns)))
    return pyarrow.concat_tables([_schema(columns).empty_table(), *chunks])


def _schema(columns: list[Any]) -> Any:
    fields = [pyarrow.field(f"column {place}", kind, metadata={"unit": "m"}) for place, (kind, _) in enumerate(columns)]
    return pyarrow.schema(fields, metadata={"of": "the table"})


@pytest.mark.slow
@settings(max_examples=150)
@given(tables(), st.booleans())
def test_any_table_arrives_as_it_was(table: Any, join: bool):
    """Any columns in any chunks, with nulls, dictionaries, nested ones and metadata."""
    found = arrived(table, join=join)
    assert type(found) is pyarrow.Table
    assert found.schema.equals(table.schema, check_metadata=True)
    assert found.equals(table)
    for batch in table.to_batches():
        again = arrived(batch, join=join)
        assert type(again) is pyarrow.RecordBatch
        assert again.equals(batch, check_metadata=True)


@pytest.mark.parametrize("rows", [0, 3])
def test_no_columns_and_no_rows_arrive(rows: int):
    """A table without columns keeps its number of rows, if it has one; a batch does too."""
    table = pyarrow.table({"a": range(rows)})
    assert arrived(table).equals(table)
    assert arrived(table.select([])).num_columns == 0
    assert arrived(table.select([])).num_rows == table.select([]).num_rows
    for batch in (pyarrow.RecordBatch.from_pylist([{}] * rows), pyarrow.record_batch({"a": pyarrow.array(range(rows))})):
        assert arrived(batch).equals(batch)
        assert arrived(batch).num_rows == batch.num_rows


def test_chunks_may_have_dictionaries_of_their_own():
    """A column whose chunks have different dictionaries, also nested ones, arrives equal."""
    chunks = [pyarrow.array(texts).dictionary_encode() for texts in (["a", "b"], ["c", "a"])]
    flat = pyarrow.table({"a": pyarrow.chunked_array(chunks)})
    nested = pyarrow.table({"a": pyarrow.chunked_array([pyarrow.StructArray.from_arrays([chunk], ["x"]) for chunk in chunks])})
    for table in (flat, nested):
        assert arrived(table).equals(table)


class _Celsius(pyarrow.ExtensionType):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__(pyarrow.float64(), "tests.celsius")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type: Any, serialized: bytes) -> _Celsius:
        return cls()


def test_an_extension_type_arrives_where_it_is_known():
    """Where nobody knows the type its storage arrives, with the type's name in the field's metadata."""
    table = pyarrow.table({"a": pyarrow.ExtensionArray.from_storage(_Celsius(), pyarrow.array([1.5]))})
    packed = pack(table)
    assert packed is not None
    unknown = unpack(*packed)
    assert unknown.schema.field("a").type == pyarrow.float64()
    assert unknown.schema.field("a").metadata[b"ARROW:extension:name"] == b"tests.celsius"
    pyarrow.register_extension_type(_Celsius())
    try:
        assert unpack(*packed).equals(table)
    finally:
        pyarrow.unregister_extension_type("tests.celsius")


def test_columns_are_copied_on_neither_side():
    """A large column's memory is one of the parts, and the column that arrives is a view of the buffer."""
    table = pyarrow.table({"a": [0.0] * 10_000, "b": ["text"] * 10_000})
    packed = pack(table)
    assert packed is not None
    memory = {pyarrow.py_buffer(part).address for part in packed.buffers}
    assert table["a"].chunk(0).buffers()[1].address in memory
    whole = b"".join(packed.buffers)
    start = pyarrow.py_buffer(whole).address
    found = unpack(packed.kind, packed.meta, [whole])
    assert start < found["a"].chunk(0).buffers()[1].address < start + len(whole)


def test_small_columns_are_put_together():
    """A thousand small columns give a few parts, not thousands."""
    packed = pack(pyarrow.table({str(place): [1, 2] for place in range(1000)}))
    assert packed is not None
    assert len(packed.buffers) < 10


def _stream(table: Any, **options: Any) -> bytes:
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema, options=pyarrow.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_what_is_compressed_is_refused(compression: str):
    """A few bytes that would become many are not read: nothing of ours is compressed."""
    table = pyarrow.table({"a": [0] * 1_000_000})
    assert unpack("pyarrow.Table", None, [_stream(table)]).equals(table)
    small = _stream(table, compression=compression)
    assert len(small) < 100_000
    with pytest.raises(Malformed, match="compressed"):
        unpack("pyarrow.Table", None, [small])
    dictionary = pyarrow.table({"a": pyarrow.array(["x" * 100_000]).dictionary_encode()})
    with pytest.raises(Malformed, match="compressed"):
        unpack("pyarrow.Table", None, [_stream(dictionary, compression=compression)])


def test_columns_nested_without_end_are_refused():
    """Lists of lists of lists end somewhere, before a stack does."""
    kind = pyarrow.int8()
    for _ in range(30):
        kind = pyarrow.list_(kind)
    table = pyarrow.table({"a": pyarrow.array([None], kind)})
    assert arrived(table).equals(table)
    for _ in range(60):
        kind = pyarrow.list_(kind)
    assert pack(pyarrow.table({"a": pyarrow.array([None], kind)})) is None
    sink = pyarrow.BufferOutputStream()
    pyarrow.ipc.new_stream(sink, pyarrow.schema([("a", kind)])).close()
    with pytest.raises(Malformed, match="nested"):
        unpack("pyarrow.Table", None, [sink.getvalue()])


@pytest.mark.parametrize("data", [b"", b"1234", b"\xff\xff\xff\xff\x00\x00\x00\x00", bytes(100), b"ARROW1" + bytes(90)])
def test_what_is_no_stream_is_malformed(data: bytes):
    """Nothing, nonsense and a file in the place of a stream are told in words."""
    for kind, meta in (("pyarrow.Table", None), ("pyarrow.RecordBatch", 1)):
        with pytest.raises(Malformed, match="Arrow"):
            unpack(kind, meta, [data])


def test_a_stream_cut_short_is_malformed():
    """At whatever byte it ends: never a table of fewer rows."""
    table = pyarrow.table({"a": [1, 2], "b": ["x", "y"]})
    data = _stream(table)
    for end in range(len(data) - 8):
        try:
            found = unpack("pyarrow.Table", None, [data[:end]])
        except Malformed:
            continue
        assert found.num_rows in (0, 2)


def test_false_offsets_are_found_before_they_are_followed():
    """Offsets that point outside of a column's texts would crash whoever reads them."""
    table = pyarrow.table({"b": ["x" * 10, "y" * 10]})
    data = bytearray(_stream(table))
    place = data.index((10).to_bytes(4, "little") + (20).to_bytes(4, "little"))
    data[place : place + 4] = (2**30).to_bytes(4, "little")
    with pytest.raises(Malformed, match=r"pyarrow\.Table"):
        unpack("pyarrow.Table", None, [data])


def test_a_batch_of_other_rows_is_malformed():
    """A stream of two batches is none, and one of other rows than it was told to have neither."""
    packed = pack(pyarrow.record_batch({"a": [1, 2]}))
    assert packed is not None
    for kind, meta, data in (
        ("pyarrow.RecordBatch", 3, packed.buffers),
        ("pyarrow.RecordBatch", "2", packed.buffers),
        ("pyarrow.RecordBatch", 0, [_stream(pyarrow.table({"a": [1]}).slice(0, 0))]),
    ):
        with pytest.raises(Malformed, match=r"pyarrow\.RecordBatch"):
            unpack(kind, meta, data)
