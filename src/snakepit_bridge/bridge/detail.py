"""How much the marker of a value without a plain form tells, and how long an array may be as a list: by the environment.

SNAKEPIT_UNSERIALIZABLE_DETAIL: `none` or `type`: its type alone, as what it holds may be secret. `repr_truncated`: its repr, too.
`repr_redacted_truncated`: that, with what looks like a secret masked. SNAKEPIT_UNSERIALIZABLE_REPR_MAXLEN: so many characters of it.
SNAKEPIT_TOLIST_MAX_ELEMENTS: an array of more elements stays a marker. What makes no sense there counts as not said.
"""

import functools
import os
from typing import Any, Optional

_DETAIL = "SNAKEPIT_UNSERIALIZABLE_DETAIL"
_LENGTH = "SNAKEPIT_UNSERIALIZABLE_REPR_MAXLEN"
_ELEMENTS = "SNAKEPIT_TOLIST_MAX_ELEMENTS"
_WITH_REPR = ("repr_truncated", "repr_redacted_truncated")
#: Characters of a repr: unless told otherwise, and at most.
_USUAL_LENGTH, _MOST_LENGTH = 500, 2000
#: As a list of Python objects an array takes some hundred times its memory.
_USUAL_ELEMENTS = 1_000_000


def shown(value: Any) -> Optional[str]:
    """What a marker tells beyond the type; None: nothing."""
    detail = os.environ.get(_DETAIL, "").strip().lower()
    if detail not in _WITH_REPR:
        return None
    try:
        text = repr(value)
    except Exception:  # the object's own code
        return None
    if detail == _WITH_REPR[1]:
        from ..redaction import DEFAULT

        text = DEFAULT.mask(text)
    length = min(_number(_LENGTH, os.environ.get(_LENGTH, ""), _USUAL_LENGTH), _MOST_LENGTH)
    return text if len(text) <= length else text[: max(length - 3, 0)] + "..."


def most_elements() -> int:
    """How many elements an array may have that becomes a list."""
    return _number(_ELEMENTS, os.environ.get(_ELEMENTS, ""), _USUAL_ELEMENTS)


@functools.lru_cache(maxsize=8)
def _number(_name: str, text: str, usual: int) -> int:
    return int(text) if text.strip().isdecimal() else usual
