"""Frames and tables in JSON: a list for each column, of each library, and no row, column or moment is lost."""

from __future__ import annotations

import decimal
import enum
import json
from typing import Any

import numpy
import pandas
import polars
import pyarrow
import pytest

from snakepit_bridge.bridge.plain import dumps


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (pandas.DataFrame({"a": [1, 2], "t": pandas.to_datetime(["2020-01-01", None])}), {"a": [1, 2], "t": ["2020-01-01T00:00:00", None]}),
        (pandas.DataFrame({"a": [1, 2]}, index=["x", "x"]), {"a": [1, 2]}),
        (pandas.DataFrame([[1, 2]], columns=["a", "a"]), {"columns": ["a", "a"], "data": [[1], [2]]}),
        (pandas.DataFrame([[1, 2]], columns=[1, "1"]), {"columns": ["1", "1"], "data": [[1], [2]]}),
        (pandas.DataFrame({"tags": [["a"], ["b"]]}), {"tags": [["a"], ["b"]]}),
        (pandas.Series([1, 2], index=["x", "x"]), [1, 2]),
        (pandas.Index([1, 2]), [1, 2]),
        (pandas.array([1, None], dtype="Int64"), [1, None]),
        (pandas.Timestamp("2020-01-01T00:00:00.123456789"), "2020-01-01T00:00:00.123456789"),
        (pandas.NaT, None),
        (pandas.NA, None),
        (polars.DataFrame({"a": [1, None], "l": [[1], [2]]}), {"a": [1, None], "l": [[1], [2]]}),
        (polars.Series([1, 2]), [1, 2]),
        (pyarrow.table({"a": [1], "b": [b"x"]}), {"a": [1], "b": ["eA=="]}),
        (pyarrow.table([[1], [2]], names=["a", "a"]), {"columns": ["a", "a"], "data": [[1], [2]]}),
        (pyarrow.record_batch({"a": [1]}), {"a": [1]}),
        (pyarrow.array([1, None]), [1, None]),
        (pyarrow.scalar(5), 5),
        (numpy.array([["2020-01-01", "NaT"]], "M8[ns]"), [["2020-01-01T00:00:00.000000000", None]]),
        (numpy.datetime64("2020-01-01T00:00:00.5", "ns"), "2020-01-01T00:00:00.500000000"),
        (numpy.array(["2020-01-01"], "M8[D]"), ["2020-01-01"]),
        (numpy.ma.masked, None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_nothing_is_lost(value: Any, told: Any) -> None:
    """Alone, and in a list."""
    assert json.loads(dumps(value)) == told
    assert json.loads(dumps([value])) == [told]


def test_sets_whose_items_do_not_compare() -> None:
    """NaN among decimals raises where it is compared."""
    assert sorted(json.loads(dumps({decimal.Decimal("NaN"), decimal.Decimal(1)}))) == ["1", "NaN"]


def test_a_long_table_is_a_marker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before lists are made of it."""
    monkeypatch.setenv("SNAKEPIT_TOLIST_MAX_ELEMENTS", "3")
    for value in (
        pandas.DataFrame({"a": [1, 2], "b": [1, 2]}),
        polars.DataFrame({"a": [1, 2], "b": [1, 2]}),
        pyarrow.table({"a": [1, 2, 3, 4]}),
    ):
        assert "__ffi_unserializable__" in json.loads(dumps(value))


def test_integers_of_any_size_are_keys_too() -> None:
    """Those with more digits than interpreters write are hexadecimal, as they are as values; a member of an enum of texts is its text."""
    kind = enum.StrEnum("kind", {"A": "a"})
    assert json.loads(dumps({10**6000: 10**6000, True: 1, None: 2, 1.5: 3, kind.A: 4})) == {
        hex(10**6000): hex(10**6000), "true": 1, "null": 2, "1.5": 3, "a": 4,
    }  # fmt: skip


@pytest.mark.parametrize("value", [{1: "a", "1": "b"}, {b"a": "a", "YQ==": "b"}, {None: "a", "null": "b"}, {(1, 2): "a", "[1, 2]": "b"}])
def test_keys_that_would_be_one_text_keep_their_items(value: Any) -> None:
    """JSON's objects have texts for keys: such a dict is a list of pairs, wherever it is."""
    first, second = value
    told = [[json.loads(dumps(first)), "a"], [second, "b"]]
    assert json.loads(dumps(value)) == told
    assert json.loads(dumps({"deep": [value]})) == {"deep": [told]}
