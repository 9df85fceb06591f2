"""polars frames and series arrive equal, with their dtypes, and without pyarrow."""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars
import polars.testing
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing.parametric import dataframes, series

from snakepit_bridge.wire.typed import Malformed, pack, unpack


def arrived(value: Any) -> Any:
    """What becomes of a value."""
    packed = pack(value)
    assert packed is not None
    return unpack(packed.kind, packed.meta, [bytes(part) for part in packed.buffers])


@pytest.mark.slow
@settings(max_examples=100)
@given(dataframes(max_cols=4, max_size=6, allow_null=True), st.booleans())
def test_any_frame_arrives_as_it_was(frame: polars.DataFrame, chunked: bool):
    """Any columns of any dtypes."""
    if chunked:
        frame = polars.concat([frame, frame], rechunk=False)
    found = arrived(frame)
    assert type(found) is polars.DataFrame
    assert found.schema == frame.schema
    polars.testing.assert_frame_equal(found, frame, check_exact=True)


@pytest.mark.slow
@settings(max_examples=100)
@given(series(max_size=6, allow_null=True))
def test_any_series_arrives_as_it_was(value: polars.Series):
    """Of any dtype, with its name."""
    found = arrived(value)
    assert type(found) is polars.Series
    polars.testing.assert_series_equal(found, value, check_exact=True)


@pytest.mark.parametrize(
    "frame",
    [
        polars.DataFrame(),
        polars.DataFrame({"a": []}),
        polars.DataFrame({"": [1], "naïve": [None]}),
        polars.DataFrame({"a": [[{"x": [1]}], []], "b": [datetime.timedelta(1), None]}),
        polars.DataFrame({"a": ["x", "y"]}, schema={"a": polars.Enum(["y", "x"])}),
        polars.DataFrame({"a": ["x", "y"]}, schema={"a": polars.Categorical}),
        polars.DataFrame({"a": [[1, 2]]}, schema={"a": polars.Array(polars.Int8, 2)}),
        polars.DataFrame({"a": [b"1"], "b": [1.5]}).clear(),
    ],
)
def test_odd_frames_arrive(frame: polars.DataFrame):
    """No columns, no rows, names that say nothing, nested columns and fixed sets of texts."""
    found = arrived(frame)
    assert found.schema == frame.schema
    assert found.equals(frame)


class _Frame(polars.DataFrame):
    pass


def test_what_would_not_arrive_is_not_packed():
    """Columns of Python objects, plans that were not run, and subclasses."""
    assert pack(polars.DataFrame({"a": [object()]})) is None
    assert pack(polars.Series([object()])) is None
    assert pack(polars.DataFrame({"a": [1]}).lazy()) is None
    assert pack(_Frame({"a": [1]})) is None
    assert pack(polars.DataFrame({"a": [[None] * 1_000_000]})) is None


@pytest.mark.parametrize("kind", ["polars.DataFrame", "polars.Series"])
@pytest.mark.parametrize("meta", [None, [1], [1, 2], [-1, 1], ["1", 1], [2, "a"], [1, None], [1, 1.0]])
def test_what_does_not_fit_is_malformed(kind: str, meta: Any):
    """Other rows, columns or names than it has, and a stream that is none."""
    packed = pack(polars.DataFrame({"a": [1]}))
    assert packed is not None
    with pytest.raises(Malformed, match="polars"):
        unpack(kind, meta, packed.buffers)
    with pytest.raises(Malformed, match="polars"):
        unpack(kind, [1, 1] if kind == "polars.DataFrame" else [1, "a"], [bytes(packed.buffers[0])[:-20]])


def test_a_column_longer_than_its_bytes_is_refused():
    """polars would end the process for want of that memory: the head of a batch may say anything."""
    packed = pack(polars.DataFrame({"a": [7, 8, 9]}))
    assert packed is not None
    data = bytes(packed.buffers[0])
    places = [place for place in range(0, len(data) - 8, 4) if data[place : place + 8] == (3).to_bytes(8, "little")]
    assert places
    for place in places:
        with pytest.raises(Malformed, match="items"):
            unpack("polars.DataFrame", packed.meta, [data[:place] + (2**62).to_bytes(8, "little") + data[place + 8 :]])
    assert arrived(polars.DataFrame({"a": [None] * 100_000})).height == 100_000


_WITHOUT = """
import sys
sys.path.insert(0, sys.argv[1])
sys.modules["pyarrow"] = None
import polars
from snakepit_bridge.wire.typed import pack, unpack
frame = polars.DataFrame({"a": [1, None], "b": ["x", "y"]})
assert unpack(*pack(frame)).equals(frame)
"""


@pytest.mark.slow
def test_no_pyarrow_is_needed():
    """polars writes and reads the format by itself."""
    subprocess.run([sys.executable, "-c", _WITHOUT, str(Path(__file__).resolve().parents[2] / "src")], check=True)
