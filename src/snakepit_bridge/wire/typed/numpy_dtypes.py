"""NumPy's dtypes as plain facts and back: exactly as they were, records with their offsets, titles and gaps.

A simple one is NumPy's own text for it (`<f8`, `<M8[25s]`), which is read only if it looks like one. Nothing else of what a sender
writes is given to NumPy's parser, and no dtype with objects in it is ever made: its bytes would be taken for pointers.
"""

import math
import re
from typing import Any, List

import numpy

from ..malformed import Malformed
from .packed import count, fields, flag, is_unicode, shape, text, text_or_none

_SIMPLE = re.compile(r"[<>|](?:b1|[iu][1248]|f[248]|c8|c16|[SVU]\d{1,10}|[mM]8(?:\[\d{0,9}[a-zA-Zμ]{1,7}\])?)\Z")
#: Records in records in records: more than anybody has, fewer than a stack has room for.
_DEEPEST = 32


class Foreign(Exception):
    """A dtype that cannot be written down: it holds objects, or belongs to another library."""


def to_facts(dtype: Any) -> Any:
    """A dtype as texts, numbers and lists. Its free `metadata`, which NumPy does not compare either, is left behind.

    Raises:
        Foreign: it has none.
    """
    if dtype.names is not None:
        titled = [(name, *dtype.fields[name]) for name in dtype.names]
        if not is_unicode("".join(dtype.names)):
            raise Foreign
        parts = [[name, _title(rest), offset, to_facts(part)] for name, part, offset, *rest in titled]
        return ["record", dtype.itemsize, dtype.isalignedstruct, issubclass(dtype.type, numpy.record), parts]
    if dtype.subdtype is not None:
        base, lengths = dtype.subdtype
        return ["array", to_facts(base), list(lengths)]
    if dtype.hasobject or dtype.isbuiltin == 2 or dtype.kind not in "biufcSUVMm" or dtype.type.__module__ != "numpy":
        raise Foreign
    if dtype.char in "gG":  # the same name is another format on another processor
        return ["long", dtype.str, _precision()] if not _SIMPLE.match(dtype.str) else dtype.str
    return dtype.str


def from_facts(facts: Any, room: int = _DEEPEST) -> Any:
    """The dtype again.

    Raises:
        Malformed: these are not the facts of one.
    """
    if type(facts) is str:
        if not _SIMPLE.match(facts):
            raise Malformed("no dtype that travels is called %.80r" % facts)
        dtype = numpy.dtype(facts)
        if dtype.str != facts:  # NumPy 1 makes something else of a length that is too large for it
            raise Malformed("no dtype that travels is called %.80r" % facts)
        return dtype
    if type(facts) not in (list, tuple) or not facts or room <= 0:
        raise Malformed("expected a dtype, got %.80r" % (facts,))
    if facts[0] == "record":
        return _record(facts, room)
    if facts[0] == "array":
        _, base, lengths = fields(facts, 3)
        lengths = shape(lengths)
        if math.prod(lengths) >= 2**31:  # NumPy's own limit
            raise Malformed("a field holds an array with the lengths %r" % (lengths,))
        return numpy.dtype((from_facts(base, room - 1), tuple(lengths)))
    return _long(facts)


def _title(rest: List[Any]) -> Any:
    title = rest[0] if rest else None
    if title is not None and (type(title) is not str or not is_unicode(title)):
        raise Foreign
    return title


def _record(facts: Any, room: int) -> Any:
    _, itemsize, aligned, as_record, parts = fields(facts, 5)
    if type(parts) not in (list, tuple):
        raise Malformed("expected the fields of a record, got %.80r" % (parts,))
    rows = [fields(part, 4) for part in parts]
    spec = {
        "names": [text(name) for name, _, _, _ in rows],
        "formats": [from_facts(part, room - 1) for _, _, _, part in rows],
        "offsets": [count(offset) for _, _, offset, _ in rows],
        "itemsize": count(itemsize),
    }
    titles = [text_or_none(title) for _, title, _, _ in rows]
    if any(title is not None for title in titles):
        spec["titles"] = titles
    dtype = numpy.dtype(spec, align=flag(aligned))  # type: ignore[call-overload,unused-ignore]
    return numpy.dtype((numpy.record, dtype)) if flag(as_record) else dtype


def _precision() -> int:
    return int(numpy.finfo(numpy.longdouble).nmant)


def _long(facts: Any) -> Any:
    mark, name, precision = fields(facts, 3)
    for dtype in (numpy.dtype(numpy.longdouble), numpy.dtype(numpy.clongdouble)):
        for found in (dtype, dtype.newbyteorder()):
            if mark == "long" and found.str == name and precision == _precision():
                return found
    raise Malformed("this processor has no floats %.40r with %.20r bits of precision" % (name, precision))
