"""JSON by the standard library alone, with a mark for what JSON lacks.

A mark is an object with one key, which begins with U+0000: `b` bytes in base64, `i` an integer beyond 64 bits in hexadecimal
(interpreters limit how many decimal digits they read), `t` a moment as older versions wrote it, `d` a dict as pairs, if not all
its keys are text or if it looks like a mark, `y` a typed binary value; the other letters are those of `rich`. Most values need no
mark but for bytes: they are only looked at, and the library writes them.
"""

import base64
import binascii
import datetime
import functools
import json
import re
from typing import Any, Callable, Dict, List, Optional, Sequence

from . import rich
from .attachments import Encoded
from .coding import Codec, Malformed, with_hashable_keys, with_room
from .lifting import Lift, Typed, typed_value
from .marking import Marking
from .plain import FINE, MANY_BYTES, MARK, MAX_LEVELS, has_text_keys, look

_BYTES, _INT, _MOMENT, _DICT, _TYPED = (MARK + letter for letter in "bitdy")
_TEXTS = frozenset((_BYTES, _INT, _MOMENT))
_PLAIN = frozenset((str, float, bool, type(None)))

#: From this size (bytes) on, base64 is put in afterwards: the library would look for what to escape in it.
_LARGE = 4096

#: Where it is put in. Base64 has no backslash, and dicts that look like marks are not written as they are.
_GAP_HEAD, _GAP_TAIL = b'{"\\u0000b":"', b'"}'
_GAP = _GAP_HEAD + b"\\u0000" + _GAP_TAIL

#: A surrogate may begin here. And each escape in turn, where a pair of surrogates is one of 12 characters and half of one has 4.
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u[dD][89a-fA-F]|.)")
_HEXADECIMAL = re.compile(r"-?[0-9a-f]+\Z")


class JsonCodec(Codec):
    """JSON in UTF-8."""

    name = "json"

    def __init__(self) -> None:
        super().__init__()
        # Cycles end in a RecursionError before the library sees them.
        options: Any = {"separators": (",", ":"), "ensure_ascii": False, "check_circular": False}
        self._dumps = json.JSONEncoder(default=_bytes_mark, **options).encode
        self._plain = json.JSONDecoder(parse_constant=float).raw_decode
        self._marked = _decoder(())

    def encode(self, value: Any) -> bytes:
        return self.encode_value(list(value) if type(value) is tuple else value)

    def encode_value(self, value: Any) -> bytes:
        data = self._direct(value)
        return self._walked(value, None) if data is None else data  # type: ignore[return-value]

    def pack(self, value: Any, facts: Optional[Dict[str, Any]] = None) -> Encoded:
        return self.pack_value(list(value) if type(value) is tuple else value, facts)

    def pack_value(self, value: Any, facts: Optional[Dict[str, Any]] = None) -> Encoded:
        data = self._direct(value)
        if data is not None and (len(data) < MANY_BYTES or look(value) == FINE):  # no list of floats in it is long
            return data
        return self._walked(value, self.terms.threshold, facts)

    def decode(self, data: bytes) -> Any:
        return self._read(self._marked, data)

    def unpack(self, data: bytes, buffers: "Sequence[memoryview]") -> Any:
        return self._read(_decoder(buffers), data)

    def array(self, items: Sequence[bytes]) -> bytes:
        return b"[" + b",".join(items) + b"]"

    def _direct(self, value: Any) -> Optional[bytes]:
        """As the library writes it; None: not all of it can be, or there is a text that is none."""
        try:
            return self._dumps(value).encode("utf-8") if _is_direct(value, MAX_LEVELS) else None
        except Exception:  # walking through it finds out which part it is
            return None

    def _written(self, value: Any, lift: Lift) -> bytes:
        marks = _Marks(lift)
        return marks.filled(self._dumps(marks.value(value, MAX_LEVELS)).encode("utf-8"))

    def _read(self, marked: Callable[[str], Any], data: bytes) -> Any:
        try:
            return with_room(functools.partial(self._loads, marked), data)
        except Exception as error:
            raise Malformed("not JSON: %.200s" % error) from error

    def _loads(self, marked: Callable[[str], Any], data: bytes) -> Any:
        text = bytes(data).decode("utf-8").strip(" \t\r\n")
        # Marks and surrogates are escapes. One letter is found much faster than two.
        escaped = "\\" in text and "\\u" in text
        value, end = marked(text) if escaped else self._plain(text)
        if end != len(text):
            raise ValueError("something follows the value, at character %d" % end)
        if escaped and _has_half_pair(text):
            raise ValueError("a text with half a pair of surrogates")  # what arrives must be able to leave
        return value


def _is_direct(value: Any, room: int) -> bool:
    """Does the library write this as it must be? Exact types only: of subclasses and enums it writes what it likes."""
    kind = type(value)
    if room <= 0:
        return False  # perhaps too deep
    if kind is dict:
        if not has_text_keys(value):
            return False
        value = value.values()
    elif kind is not list:
        value = (value,)
    for item in value:
        kind = type(item)
        if kind in _PLAIN:
            continue
        if kind is int:
            if not -(2**63) <= item < 2**64:
                return False
        elif kind is dict or kind is list:
            if not _is_direct(item, room - 1):
                return False
        elif kind is not bytes or len(item) >= _LARGE:
            return False
    return True


def _bytes_mark(value: Any) -> Dict[str, str]:
    return {_BYTES: binascii.b2a_base64(value, newline=False).decode("ascii")}


class _Marks(Marking):
    """With a one-key object for each mark; the base64 of the value's large bytes waits here."""

    __slots__ = ("_large",)

    def __init__(self, lift: Lift) -> None:
        super().__init__(lift)
        self._large: List[bytes] = []

    def mark(self, letter: str, content: Any) -> Any:
        return {MARK + letter: content}

    def wide(self, value: int) -> Any:
        return {_INT: "%x" % value}

    def pairs(self, pairs: List[Any]) -> Any:
        return {_DICT: pairs}

    def typed(self, value: Typed) -> Any:
        kind, meta, items = value.parts
        return {_TYPED: [kind, self.value(meta, MAX_LEVELS), [item if type(item) is int else self.binary(item) for item in items]]}

    def binary(self, value: Any) -> Any:
        if len(value) < _LARGE:
            return _bytes_mark(value)
        self._large.append(binascii.b2a_base64(value, newline=False))
        return {_BYTES: MARK}

    def kept(self) -> int:
        return len(self._large)

    def forget(self, kept: int) -> None:
        del self._large[kept:]

    def array_key(self, parts: List[Any]) -> Any:
        return parts

    def filled(self, data: bytes) -> bytes:
        """What the library wrote, with the base64 in its place."""
        if not self._large:
            return data
        first, *others = data.split(_GAP)
        found = [first]
        for large, rest in zip(self._large, others):
            found += (_GAP_HEAD, large, _GAP_TAIL, rest)
        return b"".join(found)


def _has_half_pair(text: str) -> bool:
    if not _SURROGATE.search(text, text.find("\\"), text.rfind("\\") + 4):
        return False
    return any(len(escape.group()) == 4 for escape in _ESCAPE.finditer(text))


def _decoder(buffers: "Sequence[memoryview]") -> Callable[[str], Any]:
    # `float`: each NaN is one by itself, as it was; the library's own is always the same, and two in one dict would become one.
    return json.JSONDecoder(object_hook=functools.partial(_unmarked, buffers), parse_constant=float).raw_decode


def _unmarked(buffers: "Sequence[memoryview]", value: Dict[str, Any]) -> Any:
    if len(value) != 1:
        return value
    ((key, content),) = value.items()
    if not key.startswith(MARK):
        return value
    if key == _DICT:
        return with_hashable_keys(content)
    if key == _TYPED:
        return typed_value(content, buffers)
    if key in _TEXTS:
        if type(content) is not str:
            raise ValueError("a mark %.20r that is not ours" % key)
        if key == _BYTES:
            return base64.b64decode(content, validate=True)
        return _wide_int(content) if key == _INT else _moment(content)
    return rich.put_together(key[1:], content)


def _wide_int(digits: str) -> int:
    if not _HEXADECIMAL.match(digits):  # `int` takes more than that: spaces, underscores, the digits of all scripts
        raise ValueError("a mark of an integer without hexadecimal digits")
    return int(digits, 16)


def _moment(text: str) -> datetime.datetime:
    try:
        return datetime.datetime.fromisoformat(text).astimezone(datetime.timezone.utc)
    except (ValueError, OverflowError):
        raise ValueError("a mark of a moment without one") from None  # the library's words would repeat all of the text
