"""What travels: plain values as they are, a few well-known types in plain form; and, for the rest, where it was found.

Used by every codec, so that one value means the same on each protocol.
"""

import datetime
import decimal
import enum
import pathlib
import types
import uuid
from typing import Any, Collection, Dict, Iterator, Optional, Set, Tuple

from . import rich
from .markers import name_of
from .own_words import fields_of, is_missing, own_words
from .typed import is_long_floats, packer_of

#: How deep a value may be nested, as JSON counts: a dict that has other keys than texts is three levels there. Any decoder has room
#: for it: a Python up to 3.11 ends at 1000 levels and frames together, and the msgpack package's one in Python needs three frames
#: a level. Newer Pythons encode far more, so the encoders of all codecs keep to it.
MAX_LEVELS = 300

#: How many of them a tuple or set takes: each is a value of its own where it is decoded.
MARKED_LEVELS = 3

#: The same for a key by itself: of the innermost dict, these come on top.
KEY_LEVELS = 30

#: What a one-key dict begins with that JSON would take for a mark of ours.
MARK = "\x00"

#: What a look at a value finds: it can be written as it is; bytes or floats that are many are in it.
FINE, LARGE = 1, 2
#: As many bytes are many.
MANY_BYTES = 4096

_SCALARS = (str, int, float, bytes, bytearray, memoryview, type(None))
_AS_TEXT = (datetime.datetime, datetime.date, datetime.time, uuid.UUID, decimal.Decimal)
#: What need not be looked into, and is written as it is.
_DIRECT = frozenset((bool, str, int, float, type(None)))
_LEAVES = frozenset((bool, *_SCALARS)) | rich.LEAVES
_NUMERIC = frozenset("biufSU")  # kinds of arrays whose items are numbers, texts and bytes
#: Keys of these types are different where they arrive as they are here.
_STAY_APART = _DIRECT | {bytes} | rich.LEAVES
_EXACT = ((str, str.__str__), (float, float.__float__), (int, int.__int__), (bytes, bytes))  # type: Any

TOO_DEEP = (
    "it is nested too deeply or contains itself; allowed are %d levels, of which a dict with other keys than texts is three" % MAX_LEVELS
)
NO_KEY = (
    "as a key it would arrive as a dict, or with one inside, which no dict takes as a key; "
    "use a text, a number or a tuple of such (at most %d in each other)" % KEY_LEVELS
)


class Unserialisable(TypeError):
    """A value cannot travel.

    Attributes:
        path: where it was found, such as `['layers'][3].weights`; empty for the value itself.
        type_name: its type.
        reason: why not.
    """

    def __init__(self, path: str, type_name: str, reason: str) -> None:
        super().__init__("%s is a %s: %s" % ("the value" + path, type_name, reason))
        self.path = path
        self.type_name = type_name
        self.reason = reason


class NoKey(TypeError):
    """It would arrive as something that no key, and nothing in a set, can be."""


def to_plain(value: Any) -> Any:
    """A plain form of a value that is not plain itself.

    Raises:
        TypeError: there is none.
    """
    if isinstance(value, enum.Enum):
        return value.value
    for base, exact in _EXACT:
        if isinstance(value, base):
            return exact(value)
    if isinstance(value, (set, frozenset)):
        return list(value)
    if isinstance(value, types.MappingProxyType):  # a read-only view of a dict
        return dict(value)
    if isinstance(value, _AS_TEXT):
        return value.isoformat() if hasattr(value, "isoformat") else str(value)
    if isinstance(value, datetime.timedelta):
        return duration(value)
    if isinstance(value, pathlib.PurePath):
        return str(value)
    return own_words(value)


def is_forgivable(value: Any) -> bool:
    """May a marker stand for a value that cannot travel? Not for what has to be awaited first: what it would give was meant."""
    return not hasattr(type(value), "__await__")


def has_text_keys(value: Dict[Any, Any]) -> bool:
    """Are all keys text, and does the dict not look like a mark? Then it is one object in JSON."""
    for key in value:
        if type(key) is not str:
            return False
    return len(value) != 1 or not key.startswith(MARK)


def look(value: Any, room: int = MAX_LEVELS) -> int:
    """What is in a value: `FINE`, and with it `LARGE`. 0: not only what a library writes as it must be, it has to be marked.

    Asked about every value that is sent: a call per container only. Exact types only: of subclasses and enums a library writes what it
    likes, and more than a decoder would read.
    """
    kind = type(value)
    if kind is dict:
        room -= 1
        if not has_text_keys(value):
            room -= 2
            if not _DIRECT.issuperset(map(type, value)):
                return 0
        value = value.values()
    elif kind is list:
        room -= 1
        if len(value) > 20 and _DIRECT.issuperset(map(type, value)):
            return 0 if room < 0 else FINE | LARGE if is_long_floats(value) else FINE
    elif kind is bytes:
        return FINE if len(value) < MANY_BYTES else FINE | LARGE
    else:
        return FINE if kind in _DIRECT else 0
    if room < 0:
        return 0
    found = FINE
    for item in value:
        if type(item) not in _DIRECT:
            inner = look(item, room)
            if not inner:
                return 0
            found |= inner
    return found


def _is_key(key: Any, room: int) -> bool:
    """Can it be a key where it arrives? Lists become tuples again there; nothing becomes of dicts."""
    if type(key) in _LEAVES:
        return True
    if isinstance(key, dict) or room <= 0:
        return False
    if rich.taken(key) is not None:
        return True
    parts = key if isinstance(key, (list, tuple, frozenset)) else (to_plain(key),)
    return all(_is_key(part, room - 1) for part in parts)


def refuse_twins(keys: Collection[Any]) -> None:
    """See that no key, or item of a set, takes another's place, as an enum's member would that of its value: one would be lost.

    Raises:
        NoKey: one would.
    """
    if _STAY_APART.issuperset(map(type, keys)):
        return
    seen = set()
    for key in keys:
        arrives = _arriving(key)
        if arrives in seen:
            raise NoKey("two of its keys, or items, would arrive as one and the same, %.80r" % (arrives,))
        seen.add(arrives)


def _arriving(key: Any) -> Any:
    """A key that can travel, as it arrives."""
    if type(key) in _STAY_APART:
        return key
    if isinstance(key, enum.Enum):
        return _arriving(key.value)
    if isinstance(key, (list, tuple)):
        return tuple(map(_arriving, key))
    if isinstance(key, (set, frozenset)):
        return frozenset(map(_arriving, key))
    if isinstance(key, memoryview):
        return bytes(key)
    if is_missing(key):
        return None
    return key if rich.taken(key) is not None else _arriving(to_plain(key))


def is_numeric(value: Any) -> bool:
    """Is it an array, or a scalar, that need not be looked through? To make a list of it takes as long as to encode it."""
    dtype = getattr(value, "dtype", None)
    return hasattr(value, "tolist") and getattr(dtype, "kind", "") in _NUMERIC and type(dtype).__module__.partition(".")[0] == "numpy"


def is_extension(value: Any) -> bool:
    """Is it the msgpack package's own ExtType? A tuple for everybody else; that package writes what nobody here reads."""
    return type(value) not in (list, tuple) and type(value).__module__ == "msgpack.ext"


def find_culprit(value: Any, cause: BaseException, *, forgiving: bool = False) -> Unserialisable:
    """Name the part of `value` that made an encoder raise `cause`; a forgiving one had markers for most."""
    try:
        for path, part, key in _walk(value, "", set(), MAX_LEVELS):
            look_at_it = key or not forgiving or isinstance(part, dict) or not is_forgivable(part)
            problem = _problem(part, as_key=key == _KEY) if look_at_it else None
            if problem is not None:
                return Unserialisable(path, name_of(type(part)), problem)
    except RecursionError:
        return Unserialisable("", name_of(type(value)), TOO_DEEP)
    except Exception as error:  # a key whose repr() raises
        return Unserialisable("", name_of(type(value)), "%s; looking for the part at fault raised %s" % (cause, type(error).__name__))
    return Unserialisable("", name_of(type(value)), str(cause) or type(cause).__name__)


#: What a part is: neither a key nor in one; a key; in one.
_NO_KEY, _KEY, _IN_KEY = 0, 1, 2


def _walk(value: Any, path: str, above: Set[int], room: int, key: int = _NO_KEY) -> Iterator[Tuple[str, Any, int]]:
    """(path, part, is it a key?)."""
    yield path, value, key
    if id(value) in above or room < 0:
        raise RecursionError
    if isinstance(value, dict):
        room -= 1 if has_text_keys(value) else 3
        children = [("[%s]" % _shown(name), item) for name, item in value.items()]
        for part in value:
            yield from _walk(part, path + " key %s" % _shown(part), above, KEY_LEVELS, _KEY)
    elif isinstance(value, tuple) and hasattr(value, "_fields") and key != _KEY:
        room -= 1
        children = [("[%d]" % index, item) for index, item in enumerate(value)]
    elif isinstance(value, (list, tuple)):
        room -= 1 if key == _KEY or isinstance(value, list) else MARKED_LEVELS
        children = [("[%d]" % index, item) for index, item in enumerate(value)]
    elif isinstance(value, (set, frozenset)):
        room -= MARKED_LEVELS
        children = [("{%r}" % (item,), item) for item in value]
    elif isinstance(value, _SCALARS) or type(value) in rich.LEAVES or (packer_of(type(value)) is not None and _is_typed(value)):
        return
    else:
        try:
            plain = to_plain(value)  # an enum's value, an array's items, an object's fields
        except Exception:
            return  # `value` itself is at fault
        children = [("", plain)]
        if type(plain) is dict and tuple(plain) == fields_of(type(value)):
            room -= 1
            children = [("." + name, item) for name, item in plain.items()]
    if room < 0:
        raise RecursionError
    above.add(id(value))
    for step, item in children:
        yield from _walk(item, path + step, above, room, _IN_KEY if key else _NO_KEY)
    above.discard(id(value))


def _shown(key: Any) -> str:
    """A key as Python writes it; large integers in hexadecimal, since interpreters refuse to write many decimal digits."""
    return "%#x" % key if type(key) is int and key.bit_length() > 64 else repr(key)


def _problem(part: Any, *, as_key: bool) -> Optional[str]:
    if isinstance(part, str):
        return None if _is_unicode(part) else "it holds a lone surrogate, which is no Unicode text; send bytes instead"
    if isinstance(part, tuple) and is_extension(part):
        return "it is an extension of MessagePack, which no other protocol has; send its bytes instead"
    try:
        other = not isinstance(part, (dict, list, tuple, set, frozenset, *_SCALARS)) and not is_missing(part)
        if other and rich.taken(part) is None and (as_key or not _is_typed(part)):
            to_plain(part)
        if isinstance(part, pathlib.PurePath) and not _is_unicode(str(part)):
            return "its name is no Unicode text; send os.fsencode(path) instead"
    except Exception as error:
        return str(error)
    try:
        if isinstance(part, dict):
            refuse_twins(part)
    except NoKey as error:
        return str(error)
    except Exception:
        return None  # a key is at fault, and comes next
    try:
        return NO_KEY if as_key and not _is_key(part, KEY_LEVELS) else None
    except Exception:
        return None  # a part of the key is at fault, and comes next


def duration(value: datetime.timedelta) -> str:
    """As ISO 8601 has it, and as msgspec writes it: `P1DT2.5S`."""
    sign, value = ("-", -value) if value < datetime.timedelta(0) else ("", value)
    seconds = ("%d.%06d" % (value.seconds, value.microseconds)).rstrip("0").rstrip(".") if value.microseconds else "%d" % value.seconds
    days = "%dD" % value.days if value.days or seconds == "0" else ""
    return "%sP%s%s" % (sign, days, "" if seconds == "0" else "T%sS" % seconds)


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _is_typed(value: Any) -> bool:
    packer = packer_of(type(value))
    return packer is not None and packer(value) is not None
