"""What stands for a value without a plain form: a marker that names its type, and tells more only where the environment asks for it.

SNAKEPIT_UNSERIALIZABLE_DETAIL: `none` or `type`: its type alone, as what it holds may be secret. `repr_truncated`: its repr, too.
`repr_redacted_truncated`: that, with what looks like a secret masked. SNAKEPIT_UNSERIALIZABLE_REPR_MAXLEN: so many characters of it.
SNAKEPIT_TOLIST_MAX_ELEMENTS: an array of more elements becomes no list. What makes no sense there counts as not said.
"""

import functools
import os
from typing import Any, Dict, Optional

#: The keys of a marker: the first with the value True.
MARKER, TYPE_KEY, REPR_KEY = "__ffi_unserializable__", "__type__", "__repr__"

_DETAIL = "SNAKEPIT_UNSERIALIZABLE_DETAIL"
_LENGTH = "SNAKEPIT_UNSERIALIZABLE_REPR_MAXLEN"
ELEMENTS = "SNAKEPIT_TOLIST_MAX_ELEMENTS"
_WITH_REPR = ("repr_truncated", "repr_redacted_truncated")
#: Characters of a repr: unless told otherwise, and at most.
_USUAL_LENGTH, _MOST_LENGTH = 500, 2000
#: As a list of Python objects an array takes some hundred times its memory.
_USUAL_ELEMENTS = 1_000_000


def is_unserializable(value: Any) -> bool:
    """Is it the marker of a value that could not travel?

    Args:
        value: anything that has arrived: a result, a chunk, or a part of one.

    Returns:
        True for a dict that says so: `{"__ffi_unserializable__": True, "__type__": "module.Class"}`, perhaps with its `__repr__`.
    """
    return isinstance(value, dict) and value.get(MARKER) is True


def marker(value: Any) -> Dict[str, Any]:
    """What stands for a value: its type, and what the environment allows beyond. Texts in it are Unicode."""
    kind = type(value)
    told = {MARKER: True, TYPE_KEY: name_of(kind, builtins=True)}
    text = _shown(value)
    return told if text is None else {**told, REPR_KEY: text}


def name_of(kind: type, *, builtins: bool = False) -> str:
    """A type by module and name; of the built-in ones the name alone, unless both are wanted."""
    whole = _text("%s.%s" % (kind.__module__, kind.__qualname__))
    return whole if builtins or kind.__module__ not in ("builtins", "__main__") else _text(kind.__qualname__)


def too_many_elements(value: Any) -> int:
    """How many elements an array has that has too many to become a list; 0: it has not. Asked before anything is allocated."""
    count, shape = getattr(value, "size", None), getattr(value, "shape", None)
    if type(count) is not int:  # torch's `size` is a method
        count = functools.reduce(lambda found, length: found * length, shape, 1) if isinstance(shape, tuple) else _length(value)
    return count if count > _number(ELEMENTS, os.environ.get(ELEMENTS, ""), _USUAL_ELEMENTS) else 0


def _length(value: Any) -> int:
    try:
        return len(value)
    except Exception:  # it has none
        return 0


def _shown(value: Any) -> Optional[str]:
    detail = os.environ.get(_DETAIL, "").strip().lower()
    if detail not in _WITH_REPR:
        return None
    try:
        text = _text(repr(value))
    except Exception:  # the object's own code
        return None
    if detail == _WITH_REPR[1]:
        from ..redaction import DEFAULT  # its patterns are compiled only where they are wanted

        text = DEFAULT.mask(text)
    length = min(_number(_LENGTH, os.environ.get(_LENGTH, ""), _USUAL_LENGTH), _MOST_LENGTH)
    return text if len(text) <= length else text[: max(length - 3, 0)] + "..."


def _text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


@functools.lru_cache(maxsize=8)
def _number(_name: str, text: str, usual: int) -> int:
    return int(text) if text.strip().isdecimal() else usual
