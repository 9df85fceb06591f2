"""What an object of any class says of itself when it is asked: the methods and fields by which libraries give plain data.

In the order in which those libraries mean them: pydantic's `model_dump`, the `to_dict` of many, a named tuple's `_asdict`, then the
fields of dataclasses, of attrs classes and of msgspec's structs, `tolist` of arrays, `isoformat` of moments.
"""

import contextlib
import dataclasses
import functools
from typing import Any, Callable, Optional, Tuple

from . import rich
from .markers import ELEMENTS, too_many_elements

#: What is an answer. A test's stand-in, which has every method, gives nothing but others like it.
_ANSWERS = (dict, list, tuple, set, frozenset, str, int, float, bytes, *rich.LEAVES)


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


def own_words(value: Any) -> Any:
    """What an object gives when it is asked.

    Raises:
        Silent: nothing. Whatever a property of the object raises.
    """
    kind = type(value)
    if not isinstance(value, type):
        for name in ("model_dump", "to_dict", "_asdict"):
            answer = _asked(value, name)
            if answer is not None:
                return answer
        names = fields_of(kind)
        if names is not None:
            return {name: getattr(value, name) for name in names}
        if hasattr(value, "tolist"):
            count = too_many_elements(value)
            if count:
                raise Silent("it would become a list of %d elements, which is too many (see %s); send a NumPy array" % (count, ELEMENTS))
            if _is_missing(value):
                return None
            answer = _asked(value, "tolist")
            if answer is not None:
                return answer
        answer = _asked(value, "isoformat")
        if answer is not None:
            return answer
    raise Silent("it is no plain value (None, bool, int, float, str, bytes, list, tuple, dict), and no plain form of it is known")


def _is_missing(value: Any) -> bool:
    """Is it NumPy's NaT, which becomes None?"""
    return getattr(getattr(value, "dtype", None), "kind", "") in ("m", "M") and getattr(value, "shape", None) == () and str(value) == "NaT"


def _asked(value: Any, name: str) -> Any:
    ask: Optional[Callable[[], Any]] = getattr(value, name, None)
    if callable(ask):
        with contextlib.suppress(Exception):  # the object's own code
            answer = ask()
            if isinstance(answer, _ANSWERS) and type(answer) is not type(value):
                return answer
    return None
