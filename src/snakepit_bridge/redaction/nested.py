"""Secrets in nested values: those that stand below a secret's name. Bounded in depth and number, whatever is given."""

import contextlib
import dataclasses
import itertools
from typing import Any, Callable, Iterator, List, Optional, Tuple

from .shapes import MASK

_MAX_DEPTH = 12
_MAX_ITEMS = 20_000
_MAX_FOUND = 128
#: Bytes beyond this are taken for no text (bytes).
_MAX_TEXT = 64 * 1024
#: So many items a glance looks at, however large the value is; and of one list.
_GLANCE = 256
_GLANCE_LIST = 64
#: Types that hold nothing further.
LEAVES = frozenset((str, int, float, bool, bytes, type(None)))

#: Integers are shown up to this size. Interpreters refuse to write thousands of digits, and no secret is that long.
_MAX_BITS = 512

#: Takes a value and a path, gives what it holds: (key, the item's path, the item).
_Children = Iterator[Tuple[Any, str, Any]]


def secrets_in(value: Any, is_secret_name: Callable[[str], bool]) -> Tuple[str, ...]:
    """The texts below secret names."""
    if _is_harmless(value, is_secret_name):
        return ()
    found: List[str] = []
    for below, item in _walk(value, is_secret_name):
        if below:
            text = text_of(item)
            if text and text not in found:
                found.append(text)
                if len(found) >= _MAX_FOUND:
                    break
    return tuple(found)


def glance(value: Any, is_secret_name: Callable[[str], bool]) -> Tuple[str, ...]:
    """`secrets_in` where every microsecond counts: of the outermost items only, whatever the value's size. Never raises."""
    below: List[Any] = []
    queue, left = [value], _GLANCE
    with contextlib.suppress(Exception):  # what a class does to its attributes; or another thread changes the value meanwhile
        for item in queue:
            if left <= 0:
                break
            pairs = _pairs(item, left)
            left -= 1 + len(pairs)
            for key, child in pairs:
                if type(key) is str and is_secret_name(key):
                    below.append(child)
                elif type(child) not in LEAVES:
                    queue.append(child)
    return secrets_in({"secret": below}, "secret".__eq__) if below else ()


def masked(value: Any, name: str, is_secret_name: Callable[[str], bool], mask: Callable[[str], str], depth: int = 0) -> Any:
    """A copy with texts masked and `***` for what stands below a secret's name; other objects stay as they are."""
    if name and value and value is not True and is_secret_name(name):
        return MASK
    if isinstance(value, str):
        return mask(value)
    if type(value) is bytes and len(value) <= _MAX_TEXT:
        text = value.decode("utf-8", "replace")
        shown = mask(text)
        return value if shown == text else shown.encode()
    if depth >= _MAX_DEPTH:
        return MASK if isinstance(value, (dict, list, tuple)) else value
    if type(value) is dict:
        return {key: masked(item, key if isinstance(key, str) else "", is_secret_name, mask, depth + 1) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(masked(item, "", is_secret_name, mask, depth + 1) for item in value)
    return value


def _is_harmless(value: Any, is_secret_name: Callable[[str], bool]) -> bool:
    """Are these plain values, in which `_walk` would come upon no secret's name? Nearly all are, and this costs a tenth of it."""
    held, left = [value], _MAX_ITEMS
    for item in held:  # which grows; an item is copied at once, as its owner may be changing it
        if type(item) is dict and len(item) <= left:
            for key in list(item):
                if isinstance(key, str) and is_secret_name(key):
                    return False
            children = list(item.values())
        elif type(item) in (list, tuple) and left > 0:
            children = item[:_MAX_ITEMS]
        else:
            return False
        left -= len(children)
        if not LEAVES.issuperset(map(type, children)):
            held += [child for child in children if type(child) not in LEAVES]
    return True


def _walk(value: Any, is_secret_name: Callable[[str], bool]) -> Iterator[Tuple[bool, Any]]:
    """Every leaf, in order: (is it below a secret's name?, itself)."""
    stack = [(False, value, 0)]
    seen = 0
    while stack and seen < _MAX_ITEMS:
        below, item, depth = stack.pop()
        seen += 1
        children = children_of(item, "") if depth < _MAX_DEPTH else None
        if children is None:
            yield below, item
            continue
        found = []
        for key, _at, child in children:
            found.append((below or (isinstance(key, str) and is_secret_name(key)), child, depth + 1))
            if len(found) + seen >= _MAX_ITEMS:
                break
        stack += reversed(found)


def _pairs(value: Any, most: int) -> List[Tuple[Any, Any]]:
    """What a container holds, by key where it has keys; of a list, what may hold something itself."""
    if type(value) is dict:
        return list(itertools.islice(value.items(), most))
    if type(value) is list or type(value) is tuple:
        items = value[: min(most, _GLANCE_LIST)]
        return [] if LEAVES.issuperset(map(type, items)) else [(None, child) for child in items]
    return [(key, child) for key, _path, child in itertools.islice(children_of(value, "") or (), most)]


def children_of(value: Any, path: str) -> Optional[_Children]:
    """What a container holds; None for a leaf. A subclass is read as what it is based on, its own methods are not called."""
    if isinstance(value, dict):
        return ((key, "%s[%s]" % (path, _key(key)), item) for key, item in list(dict.items(value)))
    if isinstance(value, (list, tuple)):
        names = getattr(type(value), "_fields", ())
        names = names if isinstance(names, tuple) and len(names) == len(value) else ()
        base = list if isinstance(value, list) else tuple
        items = base.__iter__(value)  # type: ignore[arg-type]
        return ((names[at] if names else at, "%s[%d]" % (path, at), item) for at, item in enumerate(items))
    if isinstance(value, (set, frozenset)):
        return ((None, "an item of %s" % (path or "it"), item) for item in list(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return ((field.name, "%s.%s" % (path, field.name), getattr(value, field.name, None)) for field in dataclasses.fields(value))
    return None


def _key(key: Any) -> str:
    if isinstance(key, str):
        return repr(key if len(key) <= 60 else key[:57] + "...")
    if isinstance(key, int):
        return int.__repr__(key) if key.bit_length() <= _MAX_BITS else "an int of %d bits" % key.bit_length()
    return type(key).__name__


def text_of(value: Any) -> str:
    """A leaf as text; empty for what is none, or too large to be written."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (bytes, bytearray)) and len(value) <= _MAX_TEXT:
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= _MAX_BITS:
        return int.__repr__(value)
    return ""
