"""The walk that makes of any value one that a codec's library writes as it must be: containers along the way are copied.

Only values that hold something else than plain types are walked; a codec looks first. What a mark is, and how dicts and
bytes are written, the codecs say.
"""

import contextlib
import enum
import pathlib
import types
from typing import Any, Collection, List, Tuple

from . import rich
from .coding import fits_64_bits
from .lifting import UNSERIALIZABLE, Lift, Typed
from .markers import marker
from .own_words import is_missing
from .plain import (
    KEY_LEVELS,
    MARKED_LEVELS,
    NO_KEY,
    TOO_DEEP,
    NoKey,
    has_text_keys,
    is_extension,
    is_forgivable,
    is_numeric,
    refuse_twins,
    to_plain,
)

_AS_IT_IS = frozenset((str, float, bool, type(None)))
_CONTAINERS = (dict, list, tuple, set, frozenset)
#: How often a value may say that it is another one, such as an enum's member its value.
_TURNS = 16


class Marking:
    """One value on its way. Subclasses are the codecs' own."""

    __slots__ = ("_asked", "lift")

    def __init__(self, lift: Lift) -> None:
        self.lift = lift
        self._asked = False  # inside of what an object says of itself

    def mark(self, letter: str, content: Any) -> Any:
        """What stands for a value that was taken apart; `content` is marked already."""
        raise NotImplementedError

    def wide(self, value: int) -> Any:
        """What stands for an integer beyond 64 bits."""
        raise NotImplementedError

    def pairs(self, pairs: List[Any]) -> Any:
        """What stands for a dict with other keys than texts: pairs of marked keys and items."""
        raise NotImplementedError

    def binary(self, value: bytes) -> Any:
        """What stands for bytes."""
        raise NotImplementedError

    def typed(self, value: Typed) -> Any:
        """What stands for a typed binary value."""
        raise NotImplementedError

    def array_key(self, parts: List[Any]) -> Any:
        """What stands for a tuple where it is a key, or in one."""
        raise NotImplementedError

    def kept(self) -> int:
        """How many parts wait beside what is marked, until all is written."""
        return 0

    def forget(self, kept: int) -> None:
        """Those since then: their marks are not used."""

    def value(self, value: Any, room: int) -> Any:  # noqa: C901, PLR0912 - one frame of the stack a level, which deep values are short of
        """The value, marked.

        Raises:
            RecursionError: it is nested too deeply. TypeError: a part of it cannot travel.
        """
        first = value
        for _turn in range(_TURNS):
            kind = type(value)
            if kind in _AS_IT_IS:
                return self._text(value) if self.lift.careful and kind is str else value
            if kind is int:
                return value if fits_64_bits(value) else self.wide(value)
            if kind is dict:
                if value is self.lift.facts:
                    self.lift.facts = None
                if has_text_keys(value):
                    room = _below(room, 1)
                    return {key: self.value(item, room) for key, item in value.items()}
                room = _below(room, 3)
                pairs = [(self.key(key), self.value(item, room)) for key, item in value.items()]
                refuse_twins(value)
                return self.pairs(pairs)
            if kind is list:
                lifted = self.lift.floats(value) if len(value) > 20 else None
                if lifted is not None:
                    return self.typed(lifted)
                room = _below(room, 1)
                return [self.value(item, room) for item in value]
            if kind is tuple:
                room = _below(room, MARKED_LEVELS)
                return self.mark(rich.TUPLE, [self.value(item, room) for item in value])
            if kind is set or kind is frozenset:
                return self._set(value, _below(room, MARKED_LEVELS))
            try:
                lifted = self.lift.bytes(value) if kind is bytes else self.lift.typed(value)
                if lifted is not None:
                    return self.typed(lifted)
                if kind is bytes:
                    return self.binary(value)
                marked, value = self._other(value)
            except RecursionError:
                raise
            except Exception:  # there is no other form of it, or its own code has failed
                return self._marker(value)
            if marked:
                return value
            if self.lift.forgiving and not self._asked and not isinstance(first, _CONTAINERS):
                return self._said(first, value, room)
        if self.lift.forgiving:
            return self._marker(first)
        raise RecursionError(TOO_DEEP)  # it says of itself that it is something else, again and again

    def _other(self, value: Any) -> Tuple[bool, Any]:
        """(True, what stands for a value of another type), or (False, a plainer form of it)."""
        if is_missing(value):
            return True, None
        if isinstance(value, enum.Enum):  # first: a member is its value, whatever its class is derived from
            plainer = value.value
        elif isinstance(value, _CONTAINERS):
            plainer = copied(value)
        else:
            return self._no_container(value)
        self.lift.became(type(value), type(plainer).__name__)
        return False, plainer

    def _no_container(self, value: Any) -> Tuple[bool, Any]:
        taken = rich.taken(value)
        if taken is not None:
            if self.lift.careful and isinstance(value, pathlib.PurePath):
                str(value).encode("utf-8")
            return True, self.mark(*taken)
        plainer = to_plain(value)
        self.lift.became(type(value), type(plainer).__name__)
        return is_numeric(value), plainer  # to walk through an array's items takes as long as to encode them

    def _said(self, whose: Any, value: Any, room: int) -> Any:
        """What an object says of itself: without an end, perhaps, and then it alone is at fault."""
        kept, buffers = self.kept(), len(self.lift.buffers)
        self._asked = True
        try:
            return self.value(value, room)
        except RecursionError:
            self.forget(kept)
            del self.lift.buffers[buffers:]
            return self._marker(whose)
        finally:
            self._asked = False

    def _text(self, value: str) -> Any:
        try:
            value.encode("utf-8")
        except UnicodeError:
            return self._marker(value)
        return value

    def _marker(self, value: Any) -> Any:
        """What stands for a value that cannot travel: called where something has been raised."""
        if not self.lift.forgiving or not is_forgivable(value):
            raise  # noqa: PLE0704 - what made it so
        self.lift.became(type(value), UNSERIALIZABLE)
        return marker(value)

    def _set(self, value: Collection[Any], room: int) -> Any:
        """A set whose items would arrive as what no set can hold, as markers are, arrives as a list."""
        letter, before, value = rich.SET if isinstance(value, set) else rich.FROZENSET, self.kept(), _in_order(value)
        try:
            items = [self.key(item, in_set=True) for item in value]
            refuse_twins(value)
            return self.mark(letter, items)
        except Exception as error:
            if not isinstance(error, NoKey) and not self.lift.forgiving:
                raise
            self.forget(before)  # of the items that were marked as keys
            return [self.value(item, room) for item in value]

    def key(self, value: Any, room: int = KEY_LEVELS, *, in_set: bool = False) -> Any:
        """A value that must be fit for a key where it arrives."""
        for _turn in range(_TURNS):
            kind = type(value)
            if kind in _AS_IT_IS or kind is int or kind in rich.LEAVES:
                return self.value(value, 0)
            if isinstance(value, enum.Enum):
                value = value.value
                continue
            if isinstance(value, (dict, types.MappingProxyType)) or room <= 0:
                raise NoKey(NO_KEY)
            if isinstance(value, (tuple, list)):  # a list is an enum's value
                if is_extension(value):
                    raise TypeError("an extension of MessagePack")
                parts = [self.key(part, room - 1, in_set=in_set) for part in value]
                return self.mark(rich.TUPLE, parts) if in_set else self.array_key(parts)
            if isinstance(value, (set, frozenset)):
                return self.mark(rich.FROZENSET, [self.key(part, room - 1, in_set=True) for part in _in_order(value)])
            if isinstance(value, (bytes, memoryview)):  # a byte array can be no key, a read-only view can
                return self.binary(bytes(value))
            if is_missing(value):
                return None
            taken = rich.taken(value)
            if taken is not None:
                return self.mark(*taken)
            value = to_plain(value)
        raise RecursionError(TOO_DEEP)  # it says of itself that it is something else, again and again


def copied(value: Any) -> Any:
    """What a container of a derived class holds, by its own word; a named tuple's fields are named."""
    if isinstance(value, dict):
        return dict(value.items())
    if isinstance(value, tuple):
        if is_extension(value):
            raise TypeError("an extension of MessagePack")
        if hasattr(value, "_fields"):
            return dict(zip(value._fields, value))
    return next(base(value) for base in _CONTAINERS[1:] if isinstance(value, base))


def _in_order(items: Collection[Any]) -> List[Any]:
    """What is in a set, the same way each time where that can be had: stores compare what they hold."""
    with contextlib.suppress(Exception):  # items that do not compare
        return sorted(items)
    with contextlib.suppress(Exception):  # and some that cannot be shown
        return sorted(items, key=lambda item: (type(item).__name__, repr(item)))
    return list(items)


def _below(room: int, levels: int) -> int:
    if room < levels:
        raise RecursionError(TOO_DEEP)
    return room - levels
