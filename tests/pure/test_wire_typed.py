"""Typed binary values: what leaves is what arrives, on every codec, inside the encoding and beside it."""

from __future__ import annotations

import array
from typing import Any

import numpy
import pandas
import polars
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from snakepit_bridge.wire import typed
from snakepit_bridge.wire.attachments import Parcel
from snakepit_bridge.wire.codecs import Codec, Malformed
from snakepit_bridge.wire.typed import kinds
from wire_samples import every_codec


def sent(codec: Codec, value: Any) -> Any:
    """What arrives over a channel: attachments lie beside the rest."""
    data = codec.pack(value)
    if isinstance(data, Parcel):
        return codec.unpack(data.head, [memoryview(bytes(item)).toreadonly() for item in data.own(None).buffers])
    return codec.decode(data)


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same type, down to dtypes and the sign of zeros."""
    if type(one) is not type(other):
        return False
    if isinstance(one, numpy.ma.MaskedArray):
        return same(one.data, other.data) and same(one.mask, other.mask)
    if isinstance(one, numpy.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(
        one, (pandas.DataFrame, pandas.Series, pandas.Index, pyarrow.Table, pyarrow.RecordBatch, polars.DataFrame, polars.Series)
    ):
        return bool(one.equals(other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(item, other[key]) for key, item in one.items())
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return numpy.float64(one).tobytes() == numpy.float64(other).tobytes()
    return bool(one == other)


def grid(count: int) -> Any:
    return numpy.arange(count * 4, dtype="<i4").reshape(count, 4)


VALUES = {
    "C order": grid(3),
    "Fortran order": numpy.asfortranarray(grid(3)),
    "strided": grid(8)[::2, ::-1],
    "transposed": grid(3).T,
    "read-only": numpy.broadcast_to(numpy.float64(2), (3, 2)),
    "0-d": numpy.array(2.5),
    "no items": numpy.zeros((3, 0, 2)),
    "no width": numpy.zeros(3, dtype="S0"),
    "big-endian": numpy.arange(4, dtype=">f8"),
    "half": numpy.arange(4, dtype="f2"),
    "bool": numpy.array([True, False]),
    "complex": numpy.array([1j, 2]),
    "text": numpy.array(["a", "\u00e9\U0001f600"]),
    "bytes": numpy.array([b"a", b"bc"]),
    "moments": numpy.array(["2020-01-01", "NaT"], dtype="datetime64[ns]"),
    "spans": numpy.array([1, 2], dtype="timedelta64[s]"),
    "records": numpy.array([(1, [2.0, 3.0]), (4, [5.0, 6.0])], dtype=[("a", "<i2"), ("b", ">f8", (2,))]),
    "records in records": numpy.zeros(2, dtype=[("a", [("x", "i4"), ("y", "S3")]), (("title", "b"), "f4")]),
    "aligned records": numpy.zeros(2, dtype=numpy.dtype([("a", "i1"), ("b", "f8")], align=True)),
    "void": numpy.zeros(2, dtype="V5"),
    "masked": numpy.ma.array([1, 2], mask=[0, 1]),
    "record array": numpy.rec.array([(1, 2.0)]),
    "index": pandas.Index(["x", "y"], name="n"),
    "bytearray": bytearray(b"abc"),
    "view": memoryview(b"abc"),
    "view with gaps": memoryview(b"abcdef")[::2],
    "view of floats": memoryview(array.array("d", [1.5, 2.5])),
    "view of a grid": memoryview(grid(2)),
    "floats": [0.5, -0.0, float("inf"), float("nan")] * 400,
    "table": pyarrow.table({"a": [1, None, 3], "b": ["x", "y", None], "c": [[1], [], None]}),
    "empty table": pyarrow.table({}),
    "batch": pyarrow.record_batch({"a": [1, 2], "d": pyarrow.array(["u", "v"]).dictionary_encode()}),
    "frame": pandas.DataFrame({"a": [1, 2], "b": ["x", None], "t": pandas.to_datetime(["2020-01-01", None])}, index=["p", "q"]),
    "frame by two": pandas.DataFrame({"v": [1.0, 2.0]}, index=pandas.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["k", "n"])),
    "column": pandas.Series([1.5, 2.5], name="v"),
    "column without a name": pandas.Series(["a", "b"]),
    "polars frame": polars.DataFrame({"a": [1, None], "b": ["x", "y"], "c": [[1], [2, 3]]}),
    "polars column": polars.Series("v", [1, 2]),
}
every_value = pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)


@every_codec
@every_value
def test_small_values_arrive_as_they_were(codec: Codec, value: Any) -> None:
    """Inside the encoding: same type, same contents, inside of containers too."""
    assert same(codec.decode(codec.encode({"deep": [value, 1]})), {"deep": [value, 1]})
    assert same(sent(codec, [value]), [value])


@every_codec
@every_value
def test_large_values_arrive_as_they_were(codec: Codec, value: Any) -> None:
    """The same value beside the encoding, as it would travel if it were large."""
    codec_of_all = type(codec)()
    codec_of_all.terms.threshold = 1
    assert same(sent(codec_of_all, {"deep": (value, {"x": value})}), {"deep": (value, {"x": value})})


@every_codec
@settings(max_examples=60)
@given(data=st.data())
def test_any_array_arrives_as_it_was(codec: Codec, data: st.DataObject) -> None:
    """Whatever its dtype, shape and order."""
    value = data.draw(arrays.arrays(arrays.array_dtypes() | arrays.nested_dtypes(), arrays.array_shapes(min_dims=0, min_side=0)))
    if data.draw(st.booleans()):
        value = numpy.asfortranarray(value)
    found = sent(codec, [value])[0]
    assert isinstance(found, numpy.ndarray)
    assert (found.dtype, found.shape, found.tobytes()) == (value.dtype, value.shape, value.tobytes())


@every_codec
def test_what_is_large_is_not_copied(codec: Codec) -> None:
    """A large array's own memory leaves; what arrives is a view of what came, and read-only. Bytes and floats lie beside the rest too."""
    value = numpy.arange(10_000.0)
    data = codec.pack({"a": value, "b": b"x" * 20_000, "c": [1.5] * 5_000, "small": b"y" * 50})
    assert isinstance(data, Parcel)
    assert [len(item) for item in data.buffers] == [80_000, 20_000, 40_000]
    assert len(data.head) < 400
    assert numpy.shares_memory(numpy.frombuffer(data.buffers[0], dtype="u1"), value)
    came = [memoryview(bytes(item)) for item in data.buffers]
    found = codec.unpack(data.head, came)
    assert numpy.shares_memory(numpy.frombuffer(came[0], dtype="u1"), found["a"])
    assert not found["a"].flags.writeable


@every_codec
def test_a_table_that_arrives_is_a_view(codec: Codec) -> None:
    """Its parts are put together before they leave, so that nobody has to where they arrive; a mask lies beside its data."""
    data = codec.pack(
        [pyarrow.table({"a": numpy.arange(10_000.0), "b": ["x"] * 10_000}), numpy.ma.array([1.0] * 10_000, mask=[0, 1] * 5000)]
    )
    assert isinstance(data, Parcel)
    assert len(data.buffers) == 3
    came = [memoryview(bytes(item)) for item in data.buffers]
    table, masked = codec.unpack(data.head, came)
    place = table["a"].chunk(0).buffers()[1].address - pyarrow.py_buffer(came[0]).address
    assert 0 < place < len(came[0])
    assert masked.mask[1]
    assert numpy.shares_memory(masked.data, numpy.frombuffer(came[1], "u1"))


@every_codec
@pytest.mark.parametrize("value", [[1.0, 2] * 2000, [True, *[1.0] * 3000], [*[1.0] * 3000, None], [1.0, 2, *[1.0] * 3000]])
def test_lists_of_more_than_floats_stay_as_they_are(codec: Codec, value: list[Any]) -> None:
    """One whole number among them is still one afterwards."""
    assert [type(item) for item in sent(codec, value)] == [type(item) for item in value]


@every_codec
@pytest.mark.parametrize(
    "value",
    [numpy.array([object()]), pandas.DataFrame({"a": [1, "x", object()]})],
    ids=["array", "frame"],
)
def test_what_holds_objects_is_refused_by_name(codec: Codec, value: Any) -> None:
    """No buffer holds them: the error says where the value was."""
    with pytest.raises(TypeError, match=r"\['deep'\]"):
        codec.pack({"deep": value})


@every_codec
def test_without_its_library_a_value_arrives_as_a_stand_in(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what it is, and has the bytes."""
    data = codec.encode([numpy.arange(3, dtype="<i2")])
    monkeypatch.setitem(kinds._UNPACKERS, "numpy.ndarray", kinds._stand_in("numpy.ndarray"))
    (found,) = codec.decode(data)
    assert isinstance(found, typed.Standin)
    assert (found.kind, found.meta) == ("numpy.ndarray", ["<i2", [3], "C", None])
    assert bytes(found.buffers[0]) == b"\0\0\1\0\2\0"
    assert "6 bytes" in repr(found)


PARTS = {name: typed.pack(value) for name, value in VALUES.items()}


@pytest.mark.slow
@settings(max_examples=1500)
@given(data=st.data())
def test_spoiled_parts_are_refused(data: st.DataObject) -> None:
    """Whatever is changed in a value's parts: another value, or `Malformed`; never another exception, never the end of the process."""
    found = PARTS[data.draw(st.sampled_from(sorted(PARTS)))]
    if found is None:
        return
    meta, buffers = found.meta, [bytearray(item) for item in found.buffers]
    if data.draw(st.booleans()):
        meta = _spoiled(data, meta)
    else:
        for buffer in buffers:
            for _ in range(data.draw(st.integers(0, 3))):
                if buffer:
                    buffer[data.draw(st.integers(0, len(buffer) - 1))] = data.draw(st.integers(0, 255))
            del buffer[data.draw(st.integers(0, len(buffer))) :]
    try:
        typed.unpack(found.kind, meta, [memoryview(item) for item in buffers])
    except Malformed as error:
        assert str(error)


def _spoiled(data: st.DataObject, meta: Any) -> Any:
    odd = st.sampled_from([None, -1, 2**70, "", "O", "|O", "<f9", "x" * 40, [], [[]], [-1], [2**40, 2**40], [0, 2**63], {}, 1.5, "F"])
    if isinstance(meta, list) and meta and data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(meta) - 1))
        return [*meta[:at], _spoiled(data, meta[at]), *meta[at + 1 :]]
    return data.draw(odd)


@every_codec
def test_attachments_that_have_not_come_are_named(codec: Codec) -> None:
    """A value whose buffers are missing is no value."""
    data = codec.pack(numpy.zeros(10_000))
    assert isinstance(data, Parcel)
    with pytest.raises(Malformed, match="attachment that has not come"):
        codec.unpack(data.head, [])
    with pytest.raises(Malformed, match="attachment that has not come"):
        codec.decode(data.head)
