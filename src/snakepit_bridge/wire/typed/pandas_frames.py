"""pandas frames, series and indexes: their columns as one Arrow table, their labels beside it.

All or nothing: a frame with a column, a label or `attrs` that would not arrive as they are is not packed. What arrives owns its
memory, because pandas changes frames in place.
"""

import json
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy
import pandas
import pyarrow

from ..malformed import Malformed
from .arrow import stream_of, table_of
from .packed import Packed, count, fields, flag, is_unicode, joined, split, text, text_or_none
from .pandas_columns import Foreign, from_arrow, to_arrow

_INDEXES = ("Index", "DatetimeIndex", "TimedeltaIndex", "PeriodIndex", "CategoricalIndex", "IntervalIndex")
_REFUSALS = (Foreign, pyarrow.ArrowException)
_NAMES = frozenset((str, int, bool, float, type(None)))
_FLAT = frozenset(getattr(pandas, name) for name in _INDEXES)


def types() -> Dict[type, Callable[[Any, int], Optional[Packed]]]:
    """What is packed here, by its type. Without pyarrow this module cannot be imported, and nothing of pandas is packed."""
    indexes = dict.fromkeys([*_FLAT, pandas.RangeIndex, pandas.MultiIndex], pack_index)
    return {pandas.DataFrame: pack, pandas.Series: pack_series, **indexes}


def pack(value: Any, threshold: int = 0) -> Optional[Packed]:
    """A frame; None if it would not arrive as it is."""
    try:
        index, levels = _labels(value.index)
        heads, head_levels = _listed(value.columns) or _labels(value.columns)
        about = _about(value)
        table, dtypes = _table([*levels, *(column for _, column in value.items())])
        columns, column_dtypes = _table(head_levels)
    except _REFUSALS:
        return None
    meta = [[index, dtypes], [heads, column_dtypes], about, [_size(table), _size(columns)]]
    return Packed("pandas.DataFrame", meta, [*table, *columns])


def unpack(meta: Any, buffers: List[memoryview]) -> Any:
    """A frame."""
    body, head, about, sizes = fields(meta, 4)
    table, labels = split([joined(buffers)], [count(size) for size in fields(sizes, 2)])
    heads, rest = _index(head, labels)
    index, arrays = _index(body, table)
    if rest or len(arrays) != len(heads):
        raise Malformed("%d columns with %d labels" % (len(arrays), len(heads)))
    # An array of objects alone would become texts, if all of it are texts.
    columns = {place: pandas.Series(array, index, object) if array.dtype == object else array for place, array in enumerate(arrays)}
    frame = pandas.DataFrame(columns, index=index, copy=False)
    frame.columns = heads
    return _told(frame, about)


def pack_series(value: Any, threshold: int = 0) -> Optional[Packed]:
    """A series; None if it would not arrive as it is."""
    try:
        index, levels = _labels(value.index)
        table, dtypes = _table([*levels, value])
        meta = [[index, dtypes], _name(value.name), _about(value)]
    except _REFUSALS:
        return None
    return Packed("pandas.Series", meta, table)


def unpack_series(meta: Any, buffers: List[memoryview]) -> Any:
    """A series."""
    body, name, about = fields(meta, 3)
    index, arrays = _index(body, buffers)
    if len(arrays) != 1:
        raise Malformed("a series of %d columns" % len(arrays))
    dtype = object if arrays[0].dtype == object else None  # pandas would look for a better one
    return _told(pandas.Series(arrays[0], index=index, name=_checked_name(name), dtype=dtype, copy=False), about)


def pack_index(value: Any, threshold: int = 0) -> Optional[Packed]:
    """An index; None if it would not arrive as it is."""
    try:
        facts, levels = _labels(value)
        table, dtypes = _table(levels)
    except _REFUSALS:
        return None
    return Packed("pandas.Index", [facts, dtypes], table)


def unpack_index(meta: Any, buffers: List[memoryview]) -> Any:
    """An index."""
    index, rest = _index(meta, buffers)
    if rest:
        raise Malformed("an index with %d columns" % len(rest))
    return index


# Labels -----------------------------------------------------------------------------------------------------------------


def _labels(index: Any) -> Tuple[List[Any], List[Any]]:
    """(facts about an index, its levels)."""
    kind = type(index)
    if kind is pandas.RangeIndex:
        return ["range", index.start, index.stop, index.step, _name(index.name)], []
    if kind is pandas.MultiIndex:
        return ["multi", [_name(name) for name in index.names]], [index.get_level_values(level) for level in range(index.nlevels)]
    if kind not in _FLAT:
        raise Foreign
    freq = getattr(index, "freqstr", None) if kind.__name__ in ("DatetimeIndex", "TimedeltaIndex") else None
    return ["flat", _name(index.name), freq], [index]


def _listed(index: Any) -> Optional[Tuple[List[Any], List[Any]]]:
    """The same for labels that are texts and numbers, as nearly all columns have."""
    name = str(index.dtype)
    if type(index) is not pandas.Index or name not in ("object", "str"):
        return None
    labels = index.tolist()
    if not _NAMES.issuperset(set(map(type, labels)) - {tuple}):
        return None
    return ["listed", [_name(label) for label in labels], name, _name(index.name)], []


def _index(body: Any, buffers: Any) -> Tuple[Any, List[Any]]:
    """(the index, the columns that are none of its levels)."""
    facts, dtypes = fields(body, 2)
    if type(facts) not in (list, tuple) or not facts:
        raise Malformed("expected facts about an index, got %.80r" % (facts,))
    arrays = _arrays(dtypes, buffers if type(buffers) is list else [buffers])
    if facts[0] == "range":
        _, start, stop, step, name = fields(facts, 5)
        if not all(type(number) is int and abs(number) < 2**63 for number in (start, stop, step)):
            raise Malformed("no range goes from %.40r to %.40r by %.40r" % (start, stop, step))
        return pandas.RangeIndex(start, stop, step, name=_checked_name(name)), arrays
    if facts[0] == "multi":
        _, names = fields(facts, 2)
        names = [_checked_name(name) for name in fields(names, len(names) if type(names) in (list, tuple) else 0)]
        levels, rest = arrays[: len(names)], arrays[len(names) :]
        return pandas.MultiIndex.from_arrays([_flat(level) for level in levels], names=names), rest
    if facts[0] == "listed":
        _, labels, dtype, name = fields(facts, 4)
        if type(labels) is not list or dtype not in ("object", "str"):
            raise Malformed("expected labels, got %.80r" % (facts,))
        labels = [_checked_name(label) for label in labels]
        return pandas.Index(labels, dtype=dtype, name=_checked_name(name), tupleize_cols=False), arrays
    mark, name, freq = fields(facts, 3)
    if mark != "flat" or not arrays:
        raise Malformed("no index is like %.80r" % (facts,))
    index = _flat(arrays[0])
    index.name = _checked_name(name)
    if text_or_none(freq) is not None:
        if not isinstance(index, (pandas.DatetimeIndex, pandas.TimedeltaIndex)):
            raise Malformed("labels that are no moments with the frequency %.40r" % freq)
        index.freq = freq
    return index, arrays[1:]


def _flat(array: Any) -> Any:
    return pandas.Index(array, dtype=object if array.dtype == object else None)


def _name(name: Any) -> Any:
    """The name of labels, or a label, as a fact: what a frame with numbers as labels calls its columns are numbers of NumPy."""
    if isinstance(name, numpy.generic):
        name = name.item()
    if type(name) is tuple:
        return [_name(part) for part in name]
    if type(name) not in _NAMES or (type(name) is str and not is_unicode(name)):
        raise Foreign
    return name


def _checked_name(name: Any, room: int = 8) -> Any:
    if type(name) is list and room > 0:
        return tuple(_checked_name(part, room - 1) for part in name)
    if type(name) not in _NAMES:
        raise Malformed("expected the name of labels, got %.80r" % (name,))
    return name


# Columns ----------------------------------------------------------------------------------------------------------------


def _table(columns: List[Any]) -> Tuple[List[memoryview], List[str]]:
    """(a stream in parts, the dtype of each column); no stream if there are no columns."""
    if not columns:
        return [], []
    found = [to_arrow(column) for column in columns]
    table = pyarrow.Table.from_arrays([array for array, _ in found], names=[str(place) for place in range(len(found))])
    if not table.num_rows:  # as a table it would be no batch at all, and lose its categories
        table = pyarrow.RecordBatch.from_arrays([column.combine_chunks() for column in table.columns], schema=table.schema)
    return stream_of(table), [name for _, name in found]


def _arrays(dtypes: Any, buffers: List[memoryview]) -> List[Any]:
    if type(dtypes) not in (list, tuple):
        raise Malformed("expected the dtypes of columns, got %.80r" % (dtypes,))
    size = sum(part.nbytes for part in buffers)
    if not dtypes and not size:
        return []
    table = table_of(buffers)
    if table.num_columns != len(dtypes) or table.num_rows > 8 * size:  # a bit per row is the least that a column of ours has
        raise Malformed("%d rows of %d columns in %d bytes, with %d dtypes" % (table.num_rows, table.num_columns, size, len(dtypes)))
    return [from_arrow(column, name) for column, name in zip(table.columns, dtypes)]


def _size(parts: List[memoryview]) -> int:
    return sum(part.nbytes for part in parts)


# What else a frame knows ------------------------------------------------------------------------------------------------


def _about(value: Any) -> List[Any]:
    attrs = None
    if value.attrs:
        try:
            attrs = json.dumps(value.attrs)
            same = json.loads(attrs) == value.attrs
        except (TypeError, ValueError) as error:
            raise Foreign from error
        if not same:
            raise Foreign
    return [attrs, bool(value.flags.allows_duplicate_labels)]


def _told(value: Any, about: Any) -> Any:
    attrs, duplicates = fields(about, 2)
    if attrs is not None:
        value.attrs = json.loads(text(attrs))
    if not flag(duplicates):
        value.flags.allows_duplicate_labels = False
    return value
