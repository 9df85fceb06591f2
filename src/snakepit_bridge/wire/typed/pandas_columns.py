"""One pandas column as an Arrow array and back, of exactly the dtype that it had.

Numbers and moments are the column's own memory, NaN included. A column of objects is packed if all are texts, bytes, bools, dates or
decimals with the same number of digits after the point, and what is missing is either None or NaN throughout: of anything else Arrow
would make something similar.
"""

import datetime
import decimal
import re
from typing import Any, List, Tuple

import numpy
import pandas
import pyarrow

from ..malformed import Malformed
from .packed import text

#: In columns of objects: the one type of all that is there, and what Arrow calls it.
_OBJECTS = {str: "large_string", bytes: "large_binary", bool: "bool_", datetime.date: "date32"}
_ALLOWED = frozenset((decimal.Decimal, *_OBJECTS))
_NUMBERS = re.compile(r"(?:bool|u?int(?:8|16|32|64)|float(?:16|32|64)|(?:datetime64|timedelta64)\[(?:s|ms|us|ns)\])\Z")
_OTHERS = re.compile(
    r"(?:U?Int(?:8|16|32|64)|Float(?:32|64)|boolean|category|str|string(?:\[(?:python|pyarrow)\])?"
    r"|datetime64\[(?:s|ms|us|ns), [\w/+:-]{1,60}\]|period\[[\w-]{1,20}\]|interval\[[\w\[\]]{1,40}, (?:left|right|both|neither)\]"
    r"|[a-z0-9]{1,20}(?:\[(?:s|ms|us|ns|day)\])?\[pyarrow\])\Z"
)


class Foreign(Exception):
    """A column that would not arrive as it is."""


def to_arrow(column: Any) -> Tuple[Any, str]:
    """(an Arrow array, the dtype in words) of a Series or an Index.

    Raises:
        Foreign: it would not arrive as it is.
    """
    dtype, name = column.dtype, str(column.dtype)
    if name == "string":  # one name for two ways to store them
        name = "string[%s]" % dtype.storage
    try:
        if isinstance(dtype, numpy.dtype):
            if dtype.kind == "O":
                return _objects(column.to_numpy())
            if not _NUMBERS.match(name) or not dtype.isnative:
                raise Foreign
            return pyarrow.array(column.to_numpy(), from_pandas=False), name
        if not _OTHERS.match(name):
            raise Foreign
        found = pyarrow.array(column.array, from_pandas=True)
        if pyarrow.types.is_null(found.type):  # rows that take no memory here, and would take some there
            raise Foreign
        chunks = found.chunks if isinstance(found, pyarrow.ChunkedArray) else [found]
        if not _is_same(from_arrow(pyarrow.chunked_array([chunk[:0] for chunk in chunks], found.type), name).dtype, dtype):
            raise Foreign
    except Foreign:
        raise
    except Exception as error:  # numbers that Arrow does not have, texts that are no Unicode
        raise Foreign from error
    return found, name


def from_arrow(column: Any, name: Any) -> Any:
    """An array of the dtype `name`: NumPy's, or one of pandas' own. It owns its memory, so that the frame can be changed.

    Raises:
        Malformed: no dtype that travels is called so.
    """
    name = text(name)
    if name in ("object", "object:nan"):
        return _from_objects(column, missing=None if name == "object" else float("nan"))
    if _NUMBERS.match(name):
        if column.null_count and name[-1] != "]":  # numbers of ours are all there, and only moments can be missing
            raise Malformed("a column of %s with %d items missing" % (name, column.null_count))
        found = column.to_numpy()
        if str(found.dtype) != name:
            found = found.astype(name)
        return found if found.flags.writeable and found.flags.owndata else found.copy()
    if not _OTHERS.match(name):
        raise Malformed("no dtype of pandas that travels is called %.80r" % name)
    if name == "category":
        return column.to_pandas().array
    dtype = pandas.api.types.pandas_dtype(name)
    if hasattr(dtype, "__from_arrow__"):
        return dtype.__from_arrow__(column)
    return column.to_pandas().astype(dtype).array


def _is_same(found: Any, dtype: Any) -> bool:
    if isinstance(dtype, pandas.CategoricalDtype):
        same = isinstance(found, pandas.CategoricalDtype) and found.ordered == dtype.ordered
        return same and found.categories.dtype == dtype.categories.dtype and found.categories.equals(dtype.categories)
    return bool(found == dtype and str(found) == str(dtype))


def _objects(values: Any) -> Tuple[Any, str]:
    items = values.tolist()
    kinds = set(map(type, items))
    name = "object"
    if float in kinds:
        if type(None) in kinds or not all(item != item for item in items if type(item) is float):  # noqa: PLR0124 - only NaN differs from itself
            raise Foreign
        name = "object:nan"
        items = [None if type(item) is float else item for item in items]
    kinds -= {float, type(None)}
    if len(kinds) > 1 or not kinds.issubset(_ALLOWED):
        raise Foreign
    if kinds == {decimal.Decimal}:  # Arrow has one number of decimals for all
        if len({item.as_tuple().exponent for item in items if item is not None}) > 1:
            raise Foreign
        return pyarrow.array(items, from_pandas=False), name
    arrow_type = getattr(pyarrow, _OBJECTS[kinds.pop()] if kinds else "large_string")()
    return pyarrow.array(items, arrow_type, from_pandas=False), name


def _from_objects(column: Any, missing: Any) -> Any:
    if pyarrow.types.is_large_string(column.type) or pyarrow.types.is_large_binary(column.type):
        found = column.to_numpy().astype(object)
    else:
        items: List[Any] = column.to_pylist()
        found = numpy.empty(len(items), object)
        found[:] = items
    if missing is not None:
        found[numpy.equal(found, None)] = missing  # type: ignore[arg-type,call-overload,unused-ignore]
    return found
