"""pandas frames, series and indexes arrive as they were, labels and all; what Arrow would make something similar of is not packed."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import numpy
import pandas
import pandas.testing
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakepit_bridge.wire.typed import Malformed, pack, unpack
from typed_samples import arrived


def assert_same(found: Any, value: Any) -> None:
    """Equal, with dtypes, labels, names, frequencies and attrs."""
    assert type(found) is type(value)
    if isinstance(value, pandas.Index):
        pandas.testing.assert_index_equal(found, value, exact=True, check_exact=True)
        assert getattr(found, "freq", None) == getattr(value, "freq", None)
        return
    options: Any = {"check_exact": True, "check_freq": True, "check_index_type": True}
    if isinstance(value, pandas.DataFrame):
        pandas.testing.assert_frame_equal(found, value, check_column_type=True, **options)
        assert type(found.columns) is type(value.columns)
    else:
        pandas.testing.assert_series_equal(found, value, **options)
    assert type(found.index) is type(value.index)
    assert found.attrs == value.attrs
    assert found.flags == value.flags


def _objects(*items: Any) -> Any:
    return pandas.Series(items, dtype=object)


COLUMNS: dict[str, Any] = {
    "floats": [1.5, numpy.nan, -0.0],
    "small floats": numpy.array([1, 2, 3], "f2"),
    "integers": numpy.array([1, 2, 3], "u1"),
    "bools": [True, False, True],
    "texts": ["x", "naïve", None],
    "texts as objects": _objects("x", "", None),
    "texts and NaN": _objects("x", numpy.nan, numpy.nan),
    "bytes": _objects(b"1", None, b""),
    "bools as objects": _objects(True, None, False),
    "dates": _objects(datetime.date(2020, 1, 1), None, datetime.date(1, 1, 1)),
    "decimals": _objects(decimal.Decimal("1.10"), None, decimal.Decimal("-20.00")),
    "nothing": _objects(None, None, None),
    "only NaN": _objects(numpy.nan, numpy.nan, numpy.nan),
    "moments": pandas.to_datetime(["2020-01-01", None, "2021-01-01"]),
    "moments in seconds": numpy.array(["2020", "NaT", "2021"], "M8[s]"),
    "moments somewhere": pandas.date_range("2020", periods=3, tz="Europe/Berlin"),
    "moments at an offset": pandas.date_range("2020", periods=3, tz="+02:30"),
    "durations": pandas.to_timedelta([1, None, 3], unit="s"),
    "categories": pandas.Categorical(["b", None, "a"], categories=["c", "b", "a"], ordered=True),
    "categories of numbers": pandas.Categorical([3, 1, 3]),
    "nullable integers": pandas.array([1, None, 3], dtype="Int8"),
    "nullable floats": pandas.array([1.5, None, 3], dtype="Float32"),
    "nullable bools": pandas.array([True, None, False], dtype="boolean"),
    "nullable texts": pandas.array(["x", None, "z"], dtype="string"),
    "python texts": pandas.array(["x", None, "z"], dtype="string[python]"),
    "periods": pandas.period_range("2020-01", periods=3, freq="M"),
    "intervals": pandas.interval_range(0, 3, closed="left"),
    "arrow integers": pandas.array([1, None, 3], dtype="int16[pyarrow]"),
    "arrow moments": pandas.array([datetime.datetime(2020, 1, 1), None, None], dtype="timestamp[us][pyarrow]"),
}
#: Mixed, nested, or of types that Arrow does not have, or has under another name.
REFUSED: dict[str, Any] = {
    "objects": _objects(object(), 1, 2),
    "lists": _objects([1], [], None),
    "dicts": _objects({}, {"a": 1}, None),
    "mixed": _objects("x", 1, None),
    "None and NaN": _objects("x", None, numpy.nan),
    "numbers as objects": _objects(1, 2, None),
    "floats as objects": _objects(1.5, numpy.nan, "x"),
    "no number": _objects(decimal.Decimal("NaN"), None, None),
    "mixed decimals": _objects(decimal.Decimal(1), decimal.Decimal("1.10"), None),
    "surrogates": _objects("\ud800", "x", "y"),
    "complex": [1j, 2, 3],
    "long floats": numpy.array([1, 2, 3], numpy.longdouble),
    "sparse": pandas.arrays.SparseArray([0, 0, 1]),
    "arrow nulls": pandas.array([None, None, None], dtype=pandas.ArrowDtype(pyarrow.null())),
    "arrow lists": pandas.array([[1], [2], None], dtype=pandas.ArrowDtype(pyarrow.list_(pyarrow.int8()))),
}
INDEXES: dict[str, Any] = {
    "range": pandas.RangeIndex(10, 4, -2, name="r"),
    "numbers": pandas.Index([3, 1, 1], name=7),
    "floats": pandas.Index([1.5, numpy.nan, 2]),
    "texts": pandas.Index(["x", "y", "x"], name="texts"),
    "objects": pandas.Index(["x", "y", "x"], dtype=object),
    "moments": pandas.date_range("2020", periods=3, freq="2h", tz="UTC", name=True),
    "odd moments": pandas.DatetimeIndex(["2020-01-01", "2020-01-05", None]),
    "durations": pandas.timedelta_range("1h", periods=3, freq="h"),
    "periods": pandas.period_range("2020", periods=3, freq="Y"),
    "categories": pandas.CategoricalIndex(["x", "y", "x"], ordered=True),
    "intervals": pandas.IntervalIndex.from_breaks([0.0, 1.0, 2.5, 3.0]),
    "levels": pandas.MultiIndex.from_tuples([("x", 1), ("x", 2), ("y", 1)], names=["a", None]),
    "one level": pandas.MultiIndex.from_arrays([pandas.to_datetime(["2020-01-01", "2020-01-02", "2020-01-05"])]),
    "bools": pandas.Index([True, False, True]),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_arrives_as_it_was(name: str):
    """Each dtype, in a frame, alone as a series, of no rows, and out of two pieces."""
    frame = pandas.DataFrame({"first": [1, 2, 3], "column": COLUMNS[name]})
    for value in (frame, frame["column"], frame[:0], pandas.concat([frame, frame]), frame[::-1]):
        assert_same(arrived(value), value)


@pytest.mark.parametrize("name", REFUSED)
def test_a_column_that_would_become_another_is_not_packed(name: str):
    """A frame or series with it is left to the plainer forms, all of it."""
    frame = pandas.DataFrame({"first": [1, 2, 3], "column": REFUSED[name]})
    assert pack(frame) is None
    assert pack(frame["column"]) is None


@pytest.mark.parametrize("name", INDEXES)
def test_labels_arrive_as_they_were(name: str):
    """Each kind of index: by itself, as the labels of rows and as those of columns."""
    index = INDEXES[name]
    assert_same(arrived(index), index)
    assert_same(arrived(index[:0]), index[:0])
    frame = pandas.DataFrame(numpy.arange(9).reshape(3, 3), index=index, columns=index)
    assert_same(arrived(frame), frame)
    assert_same(arrived(frame[:0]), frame[:0])
    column = frame.iloc[:, 0]
    if name in {"moments", "odd moments", "durations", "periods", "intervals", "one level"}:
        assert pack(column) is None  # its name is such a label, which no codec carries
    else:
        assert_same(arrived(column), column)


@pytest.mark.parametrize("columns", [["a", "a"], [1, "x", None], [0, 5], [True, "1"], [("a", 1)], ["", " "], []])
def test_columns_need_not_be_texts_or_unique(columns: list[Any]):
    """Numbers, nothing, tuples and the same name twice."""
    frame = pandas.DataFrame(numpy.zeros((2, len(columns))), columns=columns)
    assert_same(arrived(frame), frame)


@pytest.mark.parametrize("name", [("a", 1j), "\ud800", pandas.Timestamp(0), datetime.date(2020, 1, 1)])
def test_names_that_no_codec_carries_are_not_packed(name: Any):
    """A moment, half a pair of surrogates, and what holds such, as the name of a series or of labels."""
    assert pack(pandas.Series([1], name=name)) is None
    assert pack(pandas.Index([1], name=name)) is None


def test_frames_without_columns_or_rows_arrive():
    """Labels alone are a frame too."""
    for frame in (pandas.DataFrame(), pandas.DataFrame(index=range(5)), pandas.DataFrame(index=["x"]), pandas.DataFrame(columns=["x"])):
        assert_same(arrived(frame), frame)


def test_attrs_and_flags_arrive():
    """`attrs` arrive if JSON carries them as they are; a frame with other ones is not packed."""
    frame = pandas.DataFrame({"a": [1]})
    frame.attrs = {"unit": "m", "at": [1, 2.5, None]}
    frame = frame.set_flags(allows_duplicate_labels=False)
    assert_same(arrived(frame), frame)
    for odd in ({"at": (1, 2)}, {1: 2}, {"x": object()}, {"x": float("nan")}):
        frame.attrs = odd
        assert pack(frame) is None


class _Frame(pandas.DataFrame):
    pass


def test_subclasses_are_not_packed():
    """Somebody else's frame means more than its columns."""
    assert pack(_Frame({"a": [1]})) is None


def test_what_arrives_can_be_changed():
    """pandas changes frames in place, so each owns its memory."""
    for value in (pandas.DataFrame({"a": [1.0, 2.0], "b": [1, 2]}), pandas.DataFrame({"a": [1.0, 2.0]})):
        found = arrived(value)
        found.loc[0, "a"] = 9.0
        assert found["a"].tolist() == [9.0, 2.0]
        assert arrived(value)["a"].tolist() == [1.0, 2.0]


def test_numbers_are_not_copied_to_be_packed():
    """A large column is a part as it lies in memory."""
    values = numpy.arange(10_000.0)
    frame = pandas.DataFrame({"a": values}, copy=False)
    packed = pack(frame)
    assert packed is not None
    assert any(numpy.shares_memory(numpy.frombuffer(part, "u1"), values) for part in packed.buffers)


cells = st.sampled_from(["float64", "int8", "bool", "object", "str", "Int64", "datetime64[ns]", "category"])


@st.composite
def frames(draw: st.DrawFn) -> pandas.DataFrame:
    """A frame of any columns under any labels."""
    rows = draw(st.integers(0, 4))
    fills: dict[str, Any] = {
        "float64": st.floats(), "int8": st.integers(-9, 9), "bool": st.booleans(), "object": st.none() | st.text(max_size=3),
        "str": st.text(max_size=3), "Int64": st.none() | st.integers(-9, 9), "category": st.sampled_from(["x", "y"]),
        "datetime64[ns]": st.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(2200, 1, 1)),
    }  # fmt: skip
    names = draw(st.lists(st.text(max_size=3) | st.integers(-5, 5), max_size=4))
    parts = []
    for _ in names:
        dtype = draw(cells)
        parts.append(pandas.Series(draw(st.lists(fills[dtype], min_size=rows, max_size=rows)), dtype=dtype))
    frame = pandas.DataFrame(dict(enumerate(parts)), index=range(rows))
    frame.columns = pandas.Index(names, dtype=object)
    return frame


@pytest.mark.slow
@settings(max_examples=100)
@given(frames())
def test_any_frame_arrives_as_it_was(frame: pandas.DataFrame):
    """Any columns under any names."""
    assert_same(arrived(frame), frame)


@pytest.mark.parametrize(
    "change",
    [
        lambda meta: None,
        lambda meta: meta[:3],
        lambda meta: [[["range", 0, 5, 1, None], meta[0][1]], *meta[1:]],
        lambda meta: [[["range", 0, 2, 0, None], meta[0][1]], *meta[1:]],
        lambda meta: [[["range", 0, 2**70, 1, None], meta[0][1]], *meta[1:]],
        lambda meta: [[["odd", None, None], meta[0][1]], *meta[1:]],
        lambda meta: [[["multi", [None] * 9], meta[0][1]], *meta[1:]],
        lambda meta: [[meta[0][0], ["object", "int64"]], *meta[1:]],
        lambda meta: [[meta[0][0], ["int64"]], *meta[1:]],
        lambda meta: [[meta[0][0], ["int64", "Sparse[int]"]], *meta[1:]],
        lambda meta: [[meta[0][0], ["int64", "os.system[pyarrow]"]], *meta[1:]],
        lambda meta: [meta[0], [["listed", ["a"], "object", None], []], *meta[2:]],
        lambda meta: [meta[0], [["listed", [{"a": 1}, "b"], "object", None], []], *meta[2:]],
        lambda meta: [*meta[:2], ["{", True], meta[3]],
        lambda meta: [*meta[:2], ["[1]", True], meta[3]],
        lambda meta: [*meta[:2], [None, 1], meta[3]],
        lambda meta: [*meta[:3], [meta[3][0] - 1, 1]],
        lambda meta: [*meta[:3], [-1, 5]],
    ],
)
def test_what_does_not_fit_is_malformed(change: Any):
    """Other labels, dtypes, sizes or attrs than the stream has."""
    packed = pack(pandas.DataFrame({"a": [1, 2], "b": ["x", "y"]}))
    assert packed is not None
    with pytest.raises(Malformed, match=r"pandas\.DataFrame"):
        unpack("pandas.DataFrame", change(packed.meta), packed.buffers)


def test_rows_that_no_byte_paid_for_are_refused():
    """A column of nothing may have any number of rows in Arrow; as a column of pandas each would take memory."""
    sink = pyarrow.BufferOutputStream()
    table = pyarrow.table({"0": pyarrow.nulls(10**9)})
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    meta = [[["range", 0, 10**9, 1, None], ["object"]], None, [None, True]]
    with pytest.raises(Malformed, match="rows"):
        unpack("pandas.Series", meta, [sink.getvalue()])
