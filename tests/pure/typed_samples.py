"""One value of each kind that travels as binary, small; and how two of them are compared."""

from __future__ import annotations

import datetime
import json
from typing import Any

import numpy
import pandas
import polars
import pyarrow

from snakepit_bridge.wire.typed import pack, unpack

#: Of each kind at least one, with what is easily lost.
SAMPLES: dict[str, Any] = {
    "bytes": b"some bytes",
    "bytearray": bytearray(b"some bytes"),
    "memoryview": memoryview(bytes(24)).cast("d", (3, 1)),
    "floats": [1.0, -0.0, float("inf")],
    "numpy": numpy.arange(12.0).reshape(3, 4),
    "numpy-fortran": numpy.asfortranarray(numpy.arange(12, dtype="i2").reshape(3, 4)),
    "numpy-moments": numpy.array(["2020-01-01", "NaT"], "M8[25s]"),
    "numpy-texts": numpy.array(["a", "longer"]),
    "numpy-records": numpy.array(
        [(1, (2.0, b"x"), [3, 4])], [("a", "<i4"), (("title", "b"), [("x", ">f8"), ("y", "S3")]), ("c", "u1", (2,))]
    ),
    "numpy-recarray": numpy.rec.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]),
    "numpy-masked": numpy.ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0], fill_value=9.0),
    "arrow-table": pyarrow.table({"a": [1, None], "b": ["x", "yy"], "c": [[1.5], []], "d": pyarrow.array(["u", "u"]).dictionary_encode()}),
    "arrow-batch": pyarrow.record_batch({"a": [{"x": 1}, None], "b": [b"1", b""]}),
    "pandas-frame": pandas.DataFrame(
        {"a": [1.0, None], "b": ["x", None], "c": pandas.Categorical(["u", "v"]), "d": pandas.array([1, None], "Int64")},
        index=pandas.MultiIndex.from_tuples([("k", 1), ("l", 2)], names=["n", None]),
    ),
    "pandas-series": pandas.Series([True, False], name=3, index=pandas.date_range("2020", periods=2, freq="D")),
    "pandas-index": pandas.period_range("2020-01", periods=3, freq="M", name="month"),
    "polars-frame": polars.DataFrame({"a": [1, None], "b": ["x", "yy"], "c": [[1.5], []], "d": [{"x": 1}, {"x": None}]}),
    "polars-series": polars.Series("when", [datetime.date(2020, 1, 1), None]),
}
if hasattr(numpy.dtypes, "StringDType"):  # since NumPy 2
    SAMPLES["numpy-strings"] = numpy.array(["a", "", "naïve"], numpy.dtypes.StringDType())


def arrived(value: Any) -> Any:
    """What becomes of a value whose facts went through JSON."""
    packed = pack(value)
    assert packed is not None
    return unpack(packed.kind, json.loads(json.dumps(packed.meta)), [bytes(part) for part in packed.buffers])
