"""What an object of any class says of itself when it is asked: the methods and fields by which libraries give plain data.

In the order in which those libraries mean them: pydantic's `model_dump`, the `to_dict` of many, a named tuple's `_asdict`, then the
fields of dataclasses, of attrs classes and of msgspec's structs, `tolist` of arrays, `isoformat` of moments.
"""

import dataclasses
import functools
from typing import Any, Callable, List, Optional, Tuple

from . import rich
from .markers import ELEMENTS, too_many_elements

#: What is an answer. A test's stand-in, which has every method, gives nothing but others like it.
_ANSWERS = (dict, list, tuple, set, frozenset, str, int, float, bytes, *rich.LEAVES)

_NO_FORM = "it is no plain value (None, bool, int, float, str, bytes, list, tuple, dict), and no plain form of it is known"
#: Libraries whose tables lose rows or types in their own `to_dict`: what of them cannot be packed does not travel.
_TABLES = frozenset(("pandas", "polars", "pyarrow"))
_MISSING = frozenset(("NaTType", "NAType", "MaskedConstant"))


class Silent(TypeError):
    """It says nothing of itself. The text says why."""


def fields_of(kind: type) -> Optional[Tuple[str, ...]]:
    """The names of the fields of a dataclass, attrs class or msgspec struct; None: it is none of these."""
    try:
        return _fields_of(kind)
    except TypeError:  # a class that cannot be a key
        return None


@functools.lru_cache(maxsize=256)  # to find them takes longer than all else about a small object
def _fields_of(kind: type) -> Optional[Tuple[str, ...]]:
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind))
    attributes = getattr(kind, "__attrs_attrs__", None)
    if isinstance(attributes, tuple):
        return tuple(attribute.name for attribute in attributes)
    names = getattr(kind, "__struct_fields__", None)
    return names if isinstance(names, tuple) else None


def is_missing(value: Any) -> bool:
    """Is it what NumPy and pandas have in the place of a value that is not there, and that None means here?"""
    kind = type(value)
    return kind.__name__ in _MISSING and kind.__module__.partition(".")[0] in ("numpy", "pandas")


def own_words(value: Any) -> Any:
    """What an object gives when it is asked.

    Raises:
        Silent: nothing. Whatever a property of the object raises.
    """
    kind = type(value)
    if isinstance(value, type):
        raise Silent(_NO_FORM)
    if is_missing(value):
        return None
    if kind.__module__.partition(".")[0] in _TABLES and (hasattr(value, "columns") or hasattr(value, "iloc")):
        raise Silent("it holds what Arrow's format does not, such as objects or lists of many types; give those columns another dtype")
    failures: List[str] = []
    for name in ("model_dump", "to_dict", "_asdict"):
        answer = _asked(value, name, failures)
        if answer is not None:
            return answer
    names = fields_of(kind)
    if names is not None:
        return {name: getattr(value, name) for name in names}
    if hasattr(value, "tolist"):
        return _to_list(value, failures)
    answer = _asked(value, "isoformat", failures)
    if answer is not None:
        return answer
    raise Silent("; ".join((*failures, _NO_FORM)))


def _to_list(value: Any, failures: List[str]) -> Any:
    count = too_many_elements(value)
    if count:
        message = "as a list it would have %d elements, which are too many (see %s); give it a dtype of numbers, or send parts of it"
        raise Silent(message % (count, ELEMENTS))
    answer = _asked(value, "tolist", failures)
    if isinstance(answer, int) and value.dtype.kind in "mM":
        raise Silent("as a number it would lose its unit; send it in microseconds, or as text")
    if answer is None:
        raise Silent("; ".join((*failures, _NO_FORM)))
    return answer


def _asked(value: Any, name: str, failures: List[str]) -> Any:
    try:
        ask: Optional[Callable[[], Any]] = getattr(value, name, None)
        answer = ask() if callable(ask) else None
    except (Exception, SystemExit) as error:  # the object's own code; to leave is not for it to say
        failures.append("its %s() raised %s: %.200s" % (name, type(error).__name__, text_of(error)))
        return None
    return answer if isinstance(answer, _ANSWERS) else None


def text_of(error: BaseException) -> str:
    """What an exception says of itself, if it can."""
    try:
        return str(error)
    except Exception:
        return "?"
