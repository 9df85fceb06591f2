"""Bytes of all three types and lists of floats: what is packed, what is left alone, and what it costs to find out."""

from __future__ import annotations

import array
import collections
import enum
import math
import struct
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit_bridge.wire.typed import THRESHOLD, Malformed, Packed, is_typed, kinds, pack, unpack


def arrived(value: Any, threshold: int = 0) -> Any:
    """What becomes of a value that is packed."""
    packed = pack(value, threshold)
    assert packed is not None
    return unpack(*packed)


@given(st.binary(max_size=300))
def test_bytes_arrive_in_their_three_types(data: bytes):
    """`bytes`, `bytearray` and `memoryview` arrive equal and of the same type."""
    for value in (data, bytearray(data), memoryview(data)):
        found = arrived(value)
        assert type(found) is type(value)
        assert found == value


def test_small_bytes_stay_in_the_frame_and_other_types_do_not():
    """Below the threshold `bytes` are left to the codec; what no codec holds is packed at any size."""
    assert pack(bytes(THRESHOLD - 1)) is None
    assert pack(bytes(THRESHOLD)) is not None
    assert pack(bytes(5), 5) is not None
    assert pack(bytearray(1)) is not None
    assert pack(memoryview(b"1")) is not None


def test_the_buffers_of_bytes_are_their_own_memory():
    """Nothing is copied to be packed; a memoryview that arrives is one of the given buffer, and cannot be written to."""
    value = bytearray(20_000)
    packed = pack(value)
    assert packed is not None
    value[7] = 1
    assert packed.buffers[0][7] == 1
    view = unpack("memoryview", ["u", 1, [20_000]], [value])
    value[8] = 2
    assert view[8] == 2
    assert view.readonly


@pytest.mark.parametrize("letter", "cbBhHiIlLqQnNfd?")
def test_a_memoryview_keeps_its_numbers_and_shape(letter: str):
    """Each format of numbers arrives with the same items and the same shape; `l` may be called `q`."""
    size = struct.calcsize(letter)
    value = memoryview(bytes(range(6 * size)) if letter != "?" else bytes(6 * size)).cast(letter, (2, 3))
    found = arrived(value)
    assert (found.shape, found.itemsize) == ((2, 3), size)
    assert found.tobytes() == value.tobytes()
    assert found.tolist() == value.tolist()


def test_odd_memoryviews_are_packed_only_if_they_arrive_as_they_are():
    """Steps and no dimension are kept; records, foreign byte order and empty planes are left alone."""
    assert arrived(memoryview(bytes(range(9)))[::-2]) == memoryview(bytes(range(9)))[::-2]
    assert arrived(memoryview(bytes(8)).cast("d", ())).shape == ()  # type: ignore[call-overload]
    assert arrived(memoryview(b"").cast("d")).format == "d"
    assert pack(memoryview(numpy.zeros(3, ">f8"))) is None
    assert pack(memoryview(numpy.zeros(3, "f8,i4"))) is None
    assert pack(memoryview(numpy.zeros((0, 3)))) is None


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=50))
def test_floats_arrive_to_the_bit(patterns: list[int]):
    """Every pattern of 64 bits is a float that arrives as it is: payloads of NaN, -0.0, the smallest ones."""
    floats = [struct.unpack("=d", pattern.to_bytes(8, "little"))[0] for pattern in patterns]
    found = arrived(floats)
    assert {type(item) for item in found} == {float}
    assert struct.pack(f"={len(found)}d", *found) == struct.pack(f"={len(floats)}d", *floats)


def test_only_lists_of_nothing_but_floats_are_packed():
    """One bool, int, NumPy number, subclass or None among them, and the list stays as it is; so does a tuple, and a short one."""

    class Metres(float):
        pass

    floats = [1.5] * 2000
    assert pack(floats) is not None
    for odd in (True, 1, 2**70, numpy.float64(2), Metres(2), None, "1.0", [1.0]):
        assert pack([*floats, odd]) is None
        assert pack([odd, *floats]) is None
    assert pack(tuple(floats)) is None
    assert pack([1.5] * (THRESHOLD // 8 - 1)) is None
    assert pack([1.5] * (THRESHOLD // 8)) is not None
    assert pack([], 0) is None


class _Colour(enum.Enum):
    RED = 1


class _List(list[float]):
    pass


@pytest.mark.parametrize(
    "value", [None, True, 1, 1.5, "text", (1,), {"a": 1}, {1}, 1j, _Colour.RED, _List([1.0] * 9), collections.OrderedDict(), object]
)
def test_plain_values_are_none_of_ours(value: Any):
    """What is plain, and subclasses of what is not, are left to the codecs."""
    assert pack(value, 0) is None
    assert not is_typed(type(value)) or type(value) is list


def test_a_plain_value_costs_one_look():
    """The types that nearly every value has are in the table from the start; a class of the user's is not kept in it."""
    for plain in (dict, list, str, int, float, bool, type(None), tuple, bytes):
        assert plain in kinds.PACKERS
    mine = type("Mine", (), {})
    assert pack(mine()) is None
    assert mine not in kinds.PACKERS
    odd = type("Odd", (), {"__module__": 5})
    assert not is_typed(odd)


@pytest.mark.parametrize(
    ("kind", "meta", "buffers"),
    [
        ("nobody", None, []),
        (["bytes"], None, []),
        (None, None, []),
        ("floats", None, [b"1234567"]),
        ("memoryview", None, [b""]),
        ("memoryview", ["i", 4, [2]], [b"1234567"]),
        ("memoryview", ["i", 4, [-2]], [b"12345678"]),
        ("memoryview", ["i", 4, [2**70, 0]], [b""]),
        ("memoryview", ["i", 3, [2]], [b"123456"]),
        ("memoryview", ["P", 8, [1]], [b"12345678"]),
        ("memoryview", ["i", 4, [1] * 65], [b"1234"]),
        ("bytes", None, ["text"]),
        ("bytes", None, 5),
    ],
)
def test_what_does_not_fit_is_malformed(kind: Any, meta: Any, buffers: Any):
    """A kind that nobody knows, and facts that do not fit the bytes, are told in words."""
    with pytest.raises(Malformed, match="kind"):
        unpack(kind, meta, buffers)


def test_a_value_may_arrive_in_parts_or_joined():
    """The parts of a value may be joined on the way, or cut anew."""
    data = array.array("d", [math.pi, math.e]).tobytes()
    for parts in ([data], [data[:3], data[3:]], [b"", data]):
        assert unpack("floats", None, parts) == [math.pi, math.e]
        assert unpack("bytes", None, parts) == data
    assert unpack("bytes", None, []) == b""
    assert Packed("floats", None, [memoryview(data), memoryview(b"12")]).nbytes == 18
