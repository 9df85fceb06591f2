"""Why a value must not be kept where it outlives its process: it holds a secret, or more than can be searched for one.

Nothing is passed over: what goes beyond a bound is an objection of its own. The bounds keep a search below a second or two.
"""

from typing import Any, Callable, List, NamedTuple, Optional, Set, Tuple

from .names import MAX_NAME
from .nested import children_of, text_of

MAX_DEPTH = 32
MAX_VALUES = 100_000
#: Of all texts and bytes together (characters, bytes).
MAX_TEXT = 1024 * 1024
#: A long text is searched in pieces, so that other threads get a turn. Nothing that looks like a secret by itself is longer
#: than the overlap, and of longer ones (a private key) the beginning is enough (characters).
_PIECE = 64 * 1024
_OVERLAP = 16 * 1024

_Item = Tuple[str, Any, bool, int]


class Objection(NamedTuple):
    """What is wrong, and where. `secret`: it looks like one; else it cannot be searched."""

    path: str
    reason: str
    secret: bool


class Search:
    """One search through one value.

    Args:
        is_secret_name: is what stands below this name a secret?
        is_secret_text: does this text hold a secret?
    """

    def __init__(self, is_secret_name: Callable[[str], bool], is_secret_text: Callable[[str], bool]) -> None:
        self._is_secret_name = is_secret_name
        self._is_secret_text = is_secret_text
        self._values = 0
        self._text = 0
        self._keys: Set[str] = set()

    def find(self, value: Any, name: str) -> Optional[Objection]:
        """The first objection, in the value's own order; None: it may be kept."""
        stack: List[_Item] = [(name, value, bool(name) and self._is_secret_name(name), 0)]
        while stack:
            path, item, below, depth = stack.pop()
            self._values += 1
            if children_of(item, path) is None:
                found = self._in_leaf(path, item, below)
            elif depth >= MAX_DEPTH:
                found = Objection(path, "is nested more than %d deep" % MAX_DEPTH, secret=False)
            else:
                found = self._push(stack, item, path, below, depth)
            if found is not None:
                return found
        return None

    def _push(self, stack: List[_Item], item: Any, path: str, below: bool, depth: int) -> Optional[Objection]:
        found: List[_Item] = []
        is_pair = type(item) in (list, tuple) and len(item) == 2 and self._is_secret_key(item[0])  # as headers are written
        for number, (key, at, child) in enumerate(children_of(item, path) or ()):
            if isinstance(item, dict) and self._is_new_key(key):
                found.append(("a key of %s" % (path or "it"), key, False, depth + 1))
            is_below = below or self._is_secret_key(key) or (is_pair and number == 1)
            found.append((at, child, is_below, depth + 1))
            if self._values + len(stack) + len(found) > MAX_VALUES:
                return Objection(path or "it", "holds more than %d values" % MAX_VALUES, secret=False)
        stack += reversed(found)
        return None

    def _is_new_key(self, key: Any) -> bool:
        """Keys are looked at like values, but each text once: a list of a thousand records has the same few."""
        if not isinstance(key, str):
            return True
        known = len(self._keys)
        self._keys.add(key)
        return len(self._keys) > known

    def _is_secret_key(self, key: Any) -> bool:
        name = _text_of(key) if isinstance(key, (str, bytes)) else ""
        # Of a long name the beginning is looked at everywhere; here its end is too.
        return bool(name) and (self._is_secret_name(name) or (len(name) > MAX_NAME and self._is_secret_name(name[-MAX_NAME:])))

    def _in_leaf(self, path: str, item: Any, below: bool) -> Optional[Objection]:
        if isinstance(item, (str, bytes, bytearray)):
            self._text += len(item)
            if self._text > MAX_TEXT:
                return Objection(path, "goes beyond %d characters" % MAX_TEXT, secret=False)
        text = _text_of(item)
        if text and (below or self._holds_secret(text)):
            return Objection(path, "looks like a secret", secret=True)
        if not text and isinstance(item, int) and not isinstance(item, bool):  # too large to be written, and so to be searched
            return Objection(path, "is an integer of %d bits" % item.bit_length(), secret=below)
        return None

    def _holds_secret(self, text: str) -> bool:
        pieces = range(0, max(1, len(text) - _OVERLAP), _PIECE - _OVERLAP)
        return any(self._is_secret_text(text[at : at + _PIECE]) for at in pieces)


def _text_of(value: Any) -> str:
    if isinstance(value, (bytes, bytearray)):  # long ones too: they have been counted
        return bytes(value).decode("utf-8", "replace")
    return float.__repr__(value) if isinstance(value, float) else text_of(value)
