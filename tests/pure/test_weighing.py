"""What is heavy to read: items, not the bytes of blobs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit.gateway.weighing import has_many_items, is_heavier

encode = msgspec.msgpack.encode

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=300) | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=40), inner, max_size=20),
    max_leaves=40,
)


def weight(value: Any) -> int:
    """What its encoding is without the blobs."""
    if isinstance(value, (str, bytes)):
        return len(encode(value)) - len(value if isinstance(value, bytes) else value.encode())
    if isinstance(value, dict):
        return len(encode(value)) - sum(len(encode(part)) - weight(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return len(encode(value)) - sum(len(encode(part)) - weight(part) for part in value)
    return len(encode(value))


@given(values)
def test_the_weight_is_what_is_outside_of_blobs(value: Any) -> None:
    """To the byte, for any value."""
    data, heavy = encode(value), weight(value)
    assert not is_heavier(data, heavy)
    assert is_heavier(data, heavy - 1) == (heavy - 1 >= 0)


@pytest.mark.parametrize(
    ("data", "heavy"),
    [
        (encode(b"x" * 5_000_000), False),
        (encode("x" * 5_000_000), False),
        (encode({"deep": [b"x" * 5_000_000]}), False),
        (encode(msgspec.msgpack.Ext(2, b"x" * 5_000_000)), False),
        (encode([[]] * 5_000), True),
        (b"\xdd\xff\xff\xff\xff" + b"\x90" * 2_000, True),
        (b"\xc1" * 2_000, True),
        (b"\xc6\xff\xff\xff\xff" + b"x" * 2_000, False),  # cut short: its reader says so at once
    ],
    ids=["bytes", "text", "nested", "extension", "lists", "claimed", "nonsense", "cut"],
)
def test_blobs_weigh_nothing(data: bytes, heavy: bool) -> None:
    """Whatever their size; what cannot be read is heavy, or quickly refused."""
    assert is_heavier(data, 1_000) is heavy


def test_many_items_are_seen_at_any_depth() -> None:
    """Without looking at all of them."""
    assert not has_many_items([1.0] * 20_000)
    assert has_many_items([1.0] * 20_001)
    assert has_many_items({"a": [[1] * 150 for _ in range(150)]})
    assert not has_many_items(b"x" * 10**6)
