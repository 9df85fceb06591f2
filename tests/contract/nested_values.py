"""Any nested value of the types that arrive as what they are, for Hypothesis; and what two of them are compared by."""

from __future__ import annotations

import datetime
import decimal
import math
import pathlib
import struct
from typing import Any

import numpy
import pandas
import polars
import pyarrow
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from hypothesis.extra import pandas as frames
from polars.testing import parametric

#: How often a small value is repeated: it stays what it is, goes beside the frame, goes through shared memory where there is some.
_REPEATED = st.sampled_from([1, 1, 1, 2_000, 12_000])
_ZONES = (
    st.none() | st.timezones() | st.builds(datetime.timezone, st.timedeltas(datetime.timedelta(hours=-23), datetime.timedelta(hours=23)))
)
_TEXTS = st.text(max_size=12) | st.sampled_from(["\x00", "\x00b", "\x00T", "naïve", "\U0001f40d", "\u2028", '"\\', "x" * 15_000])
_INTEGERS = st.integers() | st.builds(
    lambda bits, more, sign: sign * ((1 << bits) + more), st.integers(7, 20_000), st.integers(-2, 2), st.sampled_from([1, -1])
)
_PATH_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6)
_HASHABLE_DECIMALS = st.decimals() | st.sampled_from([decimal.Decimal(text) for text in ("-0", "1.10", "1E+500", "-Infinity", "NaN123")])

#: What may also be in a set, or a key.
HASHABLE = (
    st.none()
    | st.booleans()
    | _INTEGERS
    | st.floats()
    | _TEXTS
    | st.binary(max_size=12)
    | st.datetimes(timezones=_ZONES, allow_imaginary=True)
    | st.dates()
    | st.times(timezones=_ZONES)
    | st.timedeltas()
    | _ZONES
    | _HASHABLE_DECIMALS.filter(lambda value: not value.is_snan())
    | st.uuids()
    | st.complex_numbers()
    | st.builds(pathlib.PurePosixPath, _PATH_TEXTS)
    | st.builds(pathlib.PureWindowsPath, _PATH_TEXTS)
    | st.builds(pathlib.Path, _PATH_TEXTS)
)
_PARTS = st.recursive(HASHABLE, lambda part: st.lists(part, max_size=2).map(tuple) | st.frozensets(part, max_size=2), max_leaves=3)

_NUMBERS = (
    arrays.array_dtypes()
    | arrays.nested_dtypes()
    | arrays.scalar_dtypes()
    | st.sampled_from(["f2", ">c16", "M8[25s]", "m8[ns]", "S0", ">U3"]).map(numpy.dtype)
)


@st.composite
def _arrays(draw: st.DrawFn) -> Any:
    """Of any dtype, shape and order; also large, read backwards, and masked."""
    found = draw(arrays.arrays(draw(_NUMBERS), arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)))
    if found.ndim and found.size:
        found = numpy.concatenate([found] * min(draw(_REPEATED), 1 + 200_000 // max(found.nbytes, 1)))
    way = draw(st.sampled_from(["C", "F", "transposed", "steps", "masked", "matrix"]))
    if way == "F":
        return numpy.asfortranarray(found)
    if way == "transposed":
        return found.T
    if way == "steps" and found.ndim:
        return found[::-2]
    if way == "masked" and found.dtype.names is None and found.dtype.kind in "biufc":
        return numpy.ma.array(found, mask=draw(st.booleans()) if not found.ndim else numpy.arange(found.size).reshape(found.shape) % 3 == 0)
    return found.view(numpy.matrix) if way == "matrix" and found.ndim == 2 and found.dtype.names is None else found


@st.composite
def _views(draw: st.DrawFn) -> Any:
    """Of bytes and of numbers, some with steps."""
    format_ = draw(st.sampled_from("bBhHiIqQfd?"))
    items = draw(st.binary(max_size=4)) * 8 * draw(_REPEATED)
    found = memoryview(items).cast(format_) if format_ != "?" else memoryview(bytes(item & 1 for item in items)).cast("?")
    return found[::2] if draw(st.booleans()) and len(found) else found


_CELLS: dict[Any, st.SearchStrategy[Any]] = {
    pyarrow.int64(): st.integers(-(2**63), 2**63 - 1),
    pyarrow.float64(): st.floats(),
    pyarrow.string(): st.text(max_size=5),
    pyarrow.large_binary(): st.binary(max_size=5),
    pyarrow.bool_(): st.booleans(),
    pyarrow.timestamp("us", "UTC"): st.datetimes(min_value=datetime.datetime(1900, 1, 1), timezones=st.just(datetime.UTC)),
    pyarrow.date32(): st.dates(),
    pyarrow.decimal128(20, 2): st.decimals(-(10**15), 10**15, places=2),
    pyarrow.list_(pyarrow.int8()): st.lists(st.integers(-128, 127), max_size=3),
    pyarrow.struct([("x", pyarrow.int16()), ("y", pyarrow.string())]): st.fixed_dictionaries(
        {"x": st.none() | st.integers(0, 9), "y": st.text(max_size=3)}
    ),
    pyarrow.map_(pyarrow.string(), pyarrow.int8()): st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=2).map(
        lambda cell: list(cell.items())
    ),
    pyarrow.dictionary(pyarrow.int8(), pyarrow.string()): st.sampled_from(["u", "v"]),
    pyarrow.null(): st.none(),
}


@st.composite
def _tables(draw: st.DrawFn) -> Any:
    """Arrow tables of any columns, in one or more chunks, and batches; with metadata now and then."""
    rows = draw(st.integers(0, 5))
    columns = {}
    for name in draw(st.lists(st.text(st.characters(codec="utf-8"), max_size=4), max_size=4, unique=True)):
        kind = draw(st.sampled_from(list(_CELLS)))
        columns[name] = pyarrow.array(draw(st.lists(st.none() | _CELLS[kind], min_size=rows, max_size=rows)), kind)
    batch = pyarrow.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
    if draw(st.booleans()):
        batch = batch.replace_schema_metadata({b"k": draw(st.binary(max_size=4))})
    if draw(st.booleans()):
        return batch
    return pyarrow.Table.from_batches([batch] * min(draw(_REPEATED), 500), batch.schema)


_PANDAS = st.one_of(
    frames.data_frames(
        [
            frames.column("i", dtype=int),
            frames.column("f", dtype=float),
            frames.column("b", dtype=bool),
            frames.column("t", dtype="M8[ns]"),
            frames.column("s", elements=st.text(st.characters(codec="utf-8"), max_size=4), dtype=object),
        ],
        index=frames.range_indexes(max_size=5) | frames.indexes(dtype=int, max_size=5) | frames.indexes(dtype=float, max_size=5),
    ),
    frames.series(dtype=float, name=st.none() | st.text(st.characters(codec="utf-8"), max_size=3)),
    frames.indexes(dtype="M8[ns]", max_size=5),
    frames.range_indexes(max_size=5),
).map(lambda value: value if len(value) != 3 or not isinstance(value, pandas.DataFrame) else pandas.concat([value] * 1_000))
_POLARS = parametric.dataframes(max_cols=3, max_size=4, excluded_dtypes=[polars.Object], allow_null=True) | parametric.series(
    max_size=4, excluded_dtypes=[polars.Object]
)

_STRINGS = st.lists(st.text(st.characters(codec="utf-8"), max_size=20), max_size=4).map(
    lambda items: numpy.array(items, numpy.dtypes.StringDType() if hasattr(numpy.dtypes, "StringDType") else None)  # since NumPy 2
)

TYPED = st.one_of(
    st.builds(lambda items, times: bytearray(items * times), st.binary(max_size=12), _REPEATED),
    st.builds(lambda items, times: items * times, st.binary(max_size=12), _REPEATED),
    st.builds(lambda items, times: items * times, st.lists(st.floats(), max_size=4), _REPEATED),
    _views(),
    _STRINGS,
    _arrays(),
    _tables(),
    _PANDAS,
    _POLARS,
)
_PLAIN = HASHABLE | st.sampled_from([decimal.Decimal("sNaN"), decimal.Decimal("-sNaN7")])
VALUES = st.recursive(
    st.booleans().flatmap(lambda typed: TYPED if typed else _PLAIN),  # as often as one another: `|` would weigh them by their parts
    lambda part: (
        st.lists(part, max_size=4)
        | st.lists(part, max_size=3).map(tuple)
        | st.sets(_PARTS, max_size=3)
        | st.frozensets(_PARTS, max_size=3)
        | st.dictionaries(_TEXTS, part, max_size=4)
        | st.dictionaries(_PARTS, part, max_size=3)
        | st.builds(lambda letter, content: {"\x00" + letter: content}, st.sampled_from(["", *"bditTSFMy"]), part)
    ),
    max_leaves=10,
)


def form(value: Any) -> Any:
    """What a value is compared by: its type, and all that is in it, signs of zeros, zones and dtypes too; sets and dicts in any order."""
    kind = type(value).__name__
    if isinstance(value, (list, tuple)):
        return [kind, *map(form, value)]
    if isinstance(value, dict):
        return [kind, sorted(([form(key), form(item)] for key, item in value.items()), key=repr)]
    if isinstance(value, (set, frozenset)):
        return [kind, sorted(map(form, value), key=repr)]
    if isinstance(value, int):
        return [kind, hex(value)]  # decimal digits may be too many to write
    if isinstance(value, float):
        return [kind, "nan" if math.isnan(value) else struct.pack("<d", value)]
    if isinstance(value, complex):
        return [kind, form(value.real), form(value.imag)]
    if isinstance(value, (datetime.datetime, datetime.time)):
        return [kind, value.replace(tzinfo=None).isoformat(), value.fold, repr(value.tzinfo)]
    if isinstance(value, (datetime.tzinfo, decimal.Decimal)):
        return [kind, repr(value)]
    if isinstance(value, memoryview):
        return [kind, value.format.replace("l", "q").replace("L", "Q"), value.shape, value.tobytes()]
    if isinstance(value, (numpy.ndarray, numpy.generic)):
        return _form_of_array(kind, value)
    return _form_of_frame(kind, value)


def _form_of_array(kind: str, value: Any) -> Any:
    if isinstance(value, numpy.ma.MaskedArray):
        return [kind, form(value.data), form(value.mask), form(value.fill_value)]
    content = value.tolist() if value.dtype.kind == "T" else value.tobytes()  # the bytes of texts of any length are pointers
    return [kind, repr(value.dtype), value.dtype.itemsize, value.shape, content]


def _form_of_frame(kind: str, value: Any) -> Any:
    if isinstance(value, (pyarrow.Table, pyarrow.RecordBatch)):
        return [kind, value.schema.to_string(), value.num_rows, form(value.to_pydict())]
    if isinstance(value, pandas.DataFrame):
        return [kind, form(value.index), form(value.columns), *(form(value.iloc[:, at]) for at in range(value.shape[1]))]
    if isinstance(value, pandas.Series):
        return [kind, form(value.name), form(value.index), str(value.dtype), form(value.tolist())]
    if isinstance(value, pandas.Index):
        return [kind, form(list(value.names)), str(value.dtype), form(value.tolist())]
    if isinstance(value, polars.DataFrame):
        return [kind, value.height, *map(form, value.get_columns())]
    if isinstance(value, polars.Series):
        return [kind, value.name, repr(value.dtype), form(value.to_list())]
    return [kind, value]
