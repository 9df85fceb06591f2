"""NumPy arrays: every dtype but object, every order and shape arrives as it was; what would lose its meaning is not packed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as some

from snakepit_bridge.wire.typed import Malformed, is_typed, pack, unpack
from typed_samples import arrived


def assert_same(found: Any, value: Any) -> None:
    """Equal to the bit, in dtype, shape and class."""
    assert type(found) is type(value)
    assert found.dtype == value.dtype
    assert repr(found.dtype) == repr(value.dtype)  # the titles, the offsets, the byte order
    assert found.shape == value.shape
    assert found.tobytes() == value.tobytes()
    assert not found.flags.writeable


dtypes = (
    some.boolean_dtypes()
    | some.integer_dtypes(endianness="?")
    | some.unsigned_integer_dtypes(endianness="?")
    | some.floating_dtypes(endianness="?")
    | some.complex_number_dtypes(endianness="?")
    | some.datetime64_dtypes(endianness="?")
    | some.timedelta64_dtypes(endianness="?")
    | some.byte_string_dtypes()
    | some.unicode_string_dtypes(endianness="?")
)
nested = some.nested_dtypes(dtypes, max_leaves=6, max_itemsize=400)
shapes = st.lists(st.integers(0, 4), max_size=5).map(tuple)


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    """Any array: filled with any bytes that its dtype allows, seen through any steps and axes."""
    dtype, shape = draw(nested), draw(shapes)
    value = draw(some.arrays(dtype, shape)) if draw(st.booleans()) and dtype.itemsize else numpy.zeros(shape, dtype)
    view = draw(st.sampled_from(["C", "F", "back", "steps", "axes"]))
    if view == "F":
        return numpy.asfortranarray(value)
    if view == "back" and value.ndim:
        return value[::-1]
    if view == "steps" and value.ndim:
        return value[..., ::2]
    return value.transpose(draw(st.permutations(range(value.ndim)))) if view == "axes" else value


@pytest.mark.slow
@settings(max_examples=300)
@given(arrays())
def test_any_array_arrives_as_it_was(value: Any):
    """Every kind of dtype but object, nested in records, in each byte order, of any shape and any strides."""
    assert_same(arrived(value), value)


@pytest.mark.parametrize(
    "dtype",
    [
        "M8", "m8", "M8[25s]", "m8[Y]", ">M8[ns]", "S0", "U0", "V0", "V12", "?", "f2", "g", "G", ">g", "S3", ">U2", ">c16",
        [], [("a", "V0")], [("a", "u1"), ("b", "<f8")], [("a", "O", (0,))][:0], [(("a title", "a"), "<i4")],
        [("a", [("b", [("c", ">i2", (2, 3))])])], [("a", "<i4", (0,))],
        {"names": ["b", "a"], "formats": ["<i4", "u1"], "offsets": [8, 3], "itemsize": 20},
        {"names": ["whole", "half"], "formats": ["<i4", "<i2"], "offsets": [0, 0], "titles": ["w", None]},
        {"names": [], "formats": [], "offsets": [], "itemsize": 4},
        numpy.dtype([("a", "u1"), ("b", "<f8")], align=True),
        numpy.dtype((numpy.record, [("a", "u1"), ("b", "<f8")])),
    ],
)  # fmt: skip
def test_a_dtype_arrives_as_it_was(dtype: Any):
    """Moments in any unit, texts of no length, records with titles, gaps, overlaps, alignment and arrays in them."""
    value = numpy.zeros((2, 3), dtype)
    found = arrived(value)
    assert_same(found, value)
    assert found.dtype.isalignedstruct == value.dtype.isalignedstruct
    assert found.dtype.type is value.dtype.type
    assert found.dtype.fields == value.dtype.fields


@pytest.mark.parametrize(
    "value", [numpy.array(5), numpy.zeros((0, 3)), numpy.zeros((3, 0, 2), order="F"), numpy.zeros([1] * 32), numpy.zeros(0)]
)
def test_small_shapes_arrive(value: Any):
    """No dimension, no items, many dimensions."""
    assert_same(arrived(value), value)


def test_orders_are_kept_and_others_become_c():
    """An array in Fortran order arrives in it, one with steps in C order."""
    plane = numpy.arange(12).reshape(3, 4)
    assert arrived(numpy.asfortranarray(plane)).flags.f_contiguous
    assert arrived(plane).flags.c_contiguous
    assert arrived(plane[:, ::2]).flags.c_contiguous


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["f8", ">f8", "M8[s]", "f8,i4", "S5"])
def test_packing_and_unpacking_copy_nothing(order: Any, dtype: str):
    """The buffer is the array's memory, and the array that arrives is a view of the buffer."""
    value = numpy.zeros((30, 50), dtype, order=order)
    packed = pack(value)
    assert packed is not None
    assert numpy.shares_memory(numpy.frombuffer(packed.buffers[0], "u1"), value)
    memory = bytearray(packed.buffers[0])
    found = unpack(packed.kind, packed.meta, [memory])
    assert numpy.shares_memory(found, numpy.frombuffer(memory, "u1"))
    assert not found.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        found[0, 0] = found[0, 1]


def test_the_packed_buffer_keeps_the_memory_alive():
    """The array may be forgotten while its bytes wait to be sent; one that is read-only is packed as others are."""
    value = numpy.arange(1000.0)
    value.flags.writeable = False
    packed = pack(value)
    assert packed is not None
    del value
    assert unpack(*packed).sum() == 499500


def test_memory_at_an_odd_address_is_copied():
    """What begins where numbers of that size must not is put right, since many libraries refuse it."""
    memory = memoryview(bytearray(81))
    found = unpack("numpy.ndarray", ["<f8", [10], "C", None], [memory[1:]])
    assert found.flags.aligned
    assert not found.flags.writeable


def test_matrix_and_recarray_stay_what_they_are(tmp_path: Path):
    """NumPy's own classes are kept; a memmap arrives as an array, because its file is not there."""
    matrix = numpy.arange(4).reshape(2, 2).view(numpy.matrix)
    assert_same(arrived(matrix), matrix)
    assert_same(arrived(matrix.T), matrix.T)
    records = numpy.rec.array([(1, 2.0)], [("a", "i4"), ("b", "f8")])
    assert_same(arrived(records), records)
    assert arrived(records).b[0] == 2
    mapped = numpy.memmap(tmp_path / "numbers", "f8", "w+", shape=(3,))
    packed = pack(mapped)
    assert packed is not None
    assert packed.meta[-1] == "memmap"
    assert type(unpack(*packed)) is numpy.ndarray


@pytest.mark.parametrize("mask", [[0, 1, 0], None, [1, 1, 1], [0, 0, 0]])
@pytest.mark.parametrize("fill", [None, 7])
@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize("join", [True, False])
def test_a_mask_is_not_lost(mask: Any, fill: Any, hard: bool, join: bool):
    """A masked array arrives with its mask, its fill value, and as hard as it was."""
    value = numpy.ma.MaskedArray([1.0, 2.0, 3.0], mask=numpy.ma.nomask if mask is None else mask, fill_value=fill, hard_mask=hard)
    packed = pack(value)
    assert packed is not None
    found = unpack(packed.kind, packed.meta, [b"".join(packed.buffers)] if join else packed.buffers)
    assert type(found) is numpy.ma.MaskedArray
    assert (found.mask is numpy.ma.nomask) == (mask is None)
    assert numpy.array_equal(found.mask, value.mask)
    assert found.data.tobytes() == value.data.tobytes()
    assert found.fill_value == value.fill_value
    assert found.hardmask == value.hardmask


def test_masked_records_arrive():
    """The mask of a record has its fields; it arrives as it was."""
    value = numpy.ma.array([(1, 2.0), (3, 4.0)], mask=[(0, 1), (1, 0)], dtype=[("a", "i4"), ("b", "f8")])
    found = arrived(value)
    assert found.tolist() == value.tolist()
    assert found.mask.dtype == value.mask.dtype


class _Metres(numpy.ndarray):
    pass


def test_what_would_lose_its_meaning_is_not_packed():
    """Objects, also inside records, other people's subclasses, titles and names that no codec carries, and scalars of which the number says all."""
    assert pack(numpy.array([object()])) is None
    assert pack(numpy.zeros(2, [("a", "i4"), ("b", [("c", "O")])])) is None
    assert pack(numpy.zeros(2).view(_Metres)) is None
    assert pack(numpy.ma.array(numpy.zeros((2, 2)).view(numpy.matrix))) is None
    assert pack(numpy.zeros(2, [((1, "a"), "i4")])) is None
    assert pack(numpy.zeros(2, [("\ud800", "i4")])) is None
    for scalar in (numpy.float64(1), numpy.complex64(1), numpy.bool_(1), numpy.zeros(1, "f8,i4")[0]):
        assert not is_typed(type(scalar))


@pytest.mark.skipif(not hasattr(numpy.dtypes, "StringDType"), reason="NumPy 1 has none")
@pytest.mark.parametrize("missing", [{}, {"na_object": None}, {"na_object": float("nan")}])
def test_texts_of_any_length_arrive(missing: Any):
    """NumPy's StringDType arrives with its missing texts, if those are None or NaN."""
    dtype = numpy.dtypes.StringDType(coerce=False, **missing)
    value = numpy.array([["a", "", "naïve"], ["x" * 1000, "\x00", *(missing.values() or ["last"])]], dtype)
    found = arrived(value)
    assert found.dtype == value.dtype
    assert repr(found.tolist()) == repr(value.tolist())
    assert repr(arrived(value.T).tolist()) == repr(value.T.tolist())
    assert pack(numpy.array(["a"], numpy.dtypes.StringDType(na_object="?"))) is None


@pytest.mark.parametrize(
    ("meta", "data"),
    [
        (["|O", [1], "C", None], bytes(8)),
        (["O", [1], "C", None], bytes(8)),
        (["i4,O", [1], "C", None], bytes(16)),
        ([["record", 8, False, False, [["a", None, 0, "|O"]]], [1], "C", None], bytes(8)),
        ([["array", "|O", [1]], [1], "C", None], bytes(8)),
        (["<f8", [-1], "C", None], b""),
        (["<f8", [2**62, 4], "C", None], b""),
        (["<f8", [2**61, 0], "C", None], b""),
        (["<f8", [2**32, 2**32], "C", None], b""),
        (["<f8", [1] * 65, "C", None], bytes(8)),
        (["<f8", [True], "C", None], bytes(8)),
        (["<f8", [2], "C", None], bytes(15)),
        (["<f8", [1], "A", None], bytes(8)),
        (["<f8", [1], "C", "MaskedArray"], bytes(8)),
        (["<f8", [1], "C", 5], bytes(8)),
        (["|S9999999999", [0], "C", None], b""),
        (["<U999999999", [0], "C", None], b""),
        (["<U1", [1], "C", None], b"\xff\xff\xff\xff"),
        (["<M8[parsecs]", [1], "C", None], bytes(8)),
        ([["long", "<f16", 5], [1], "C", None], bytes(16)),
        ([["record", 2, False, False, [["a", None, 0, "<f8"]]], [1], "C", None], bytes(2)),
        ([["record", 8, False, False, [["a", None, 2**63, "<f8"]]], [1], "C", None], bytes(8)),
        ([["record", 8, False, False, [["a", None, 0, "<f4"], ["a", None, 4, "<f4"]]], [1], "C", None], bytes(8)),
        ([["array", "<f8", [2**31, 2**31]], [0], "C", None], b""),
        (None, b""),
    ],
)
def test_what_does_not_fit_is_malformed(meta: Any, data: bytes):
    """Objects, sizes below zero and beyond all memory, and texts that are no Unicode are told in words."""
    with pytest.raises(Malformed, match="numpy"):
        unpack("numpy.ndarray", meta, [data])


def test_a_dtype_nested_without_end_is_malformed():
    """A thousand records in each other do not exhaust the stack."""
    dtype: Any = "<f8"
    for _ in range(1000):
        dtype = ["array", dtype, [1]]
    with pytest.raises(Malformed, match="numpy"):
        unpack("numpy.ndarray", [dtype, [1], "C", None], [bytes(8)])


def test_a_huge_shape_of_nothing_takes_no_memory():
    """Items of no size may be many: they are a value as any other."""
    found = unpack("numpy.ndarray", ["|V0", [2**40], "C", None], [])
    assert found.shape == (2**40,)


def test_a_long_float_of_another_processor_is_not_read():
    """The longest floats of two processors may have one name and two formats: the precision goes with it."""
    packed = pack(numpy.zeros(1, numpy.longdouble))
    assert packed is not None
    if numpy.finfo(numpy.longdouble).nmant == numpy.finfo(float).nmant:
        pytest.skip("here the longest float is a float")
    mark, name, precision = packed.meta[0]
    with pytest.raises(Malformed, match="bits of precision"):
        unpack("numpy.ndarray", [[mark, name, precision + 1], *packed.meta[1:]], packed.buffers)
