"""How large one payload may be: a call's arguments, a result, a chunk.

Both ends of a channel look before they send, and hold the other end to it. A payload is measured as it is encoded, with its
attachments. What the library itself puts beside it (numbers, times, a trace) has room of its own.
"""

from typing import Any, Dict, Iterable, Optional

from .attachments import Encoded
from .coding import Codec
from .plain import Unserialisable
from .typed import Pickled
from .work import Work

#: What the error frames of such payloads say.
CODE = "payload_too_large"
#: The largest payload, where no setting says otherwise (bytes).
MAX_PAYLOAD = 4 * 1024 * 1024 * 1024
#: The least that a setting may say (bytes): errors, with their tracebacks, travel too.
MIN_PAYLOAD = 1024 * 1024
#: A frame may be larger than its payload by this (bytes).
BESIDE_BYTES = 1024 * 1024

_CURES = {
    "arguments": "raise max_payload, or send it in parts, by several calls",
    "result": "raise max_payload, or let the tool yield it in parts: each chunk is a payload by itself",
    "chunk": "raise max_payload, or yield smaller chunks",
}


_PICKLES = frozenset((Pickled, Work))
_CONTAINERS = frozenset((list, tuple, dict, set, frozenset))


class TooLarge(Unserialisable):
    """A payload is larger than may be sent.

    Attributes:
        what: `arguments`, `result`, `chunk`, `report` or `snapshot`. size: how large it is (bytes); limit: how large it may be.
        beside: alone it is not; `size` is that of what goes along too.
    """

    def __init__(self, what: str, size: int, limit: int, *, beside: bool = False) -> None:
        self.what = what
        self.size = size
        self.limit = limit
        self.beside = beside
        super().__init__("", what, self.told(""))
        self.args = (self.reason,)

    def told(self, whose: str, chunk: Optional[int] = None) -> str:
        """In words.

        Args:
            whose: such as `of 'train'`; may be empty. chunk: the number of the chunk that it is.
        """
        name = "chunk %d" % chunk if self.what == "chunk" and chunk is not None else "the %s" % self.what
        along = " with what goes along, such as its session's metadata or snapshot" if self.beside else ""
        verb = "have" if self.what == "arguments" else "has"
        return "%s %s %d bytes%s, and max_payload is %d" % (" ".join(filter(None, (name, whose))), verb, self.size, along, self.limit)

    @property
    def hint(self) -> str:
        """How to mend it."""
        return "keep less in the session, or raise max_payload" if self.beside else _CURES.get(self.what, "raise max_payload")

    @property
    def facts(self) -> Dict[str, Any]:
        """What an error frame says of it."""
        return {"what": self.what, "size": self.size, "max_payload": self.limit, "beside": self.beside}


def too_large(what: str, frame: Encoded, limit: int, codec: Codec, *values: Any) -> Optional[TooLarge]:
    """Why a frame may not leave; None: it may.

    Args:
        what: it carries. values: those, without what goes beside them. They are measured only if the frame as a whole is too large.
    """
    if len(frame) <= limit:
        return None
    size = sum(len(codec.pack_value(value)) for value in values)
    if size > limit:
        return TooLarge(what, size, limit)
    return TooLarge(what, len(frame), limit, beside=True) if len(frame) > limit + BESIDE_BYTES else None


def at_least(values: Iterable[Any]) -> int:
    """How large they are for certain, without encoding them (bytes): texts, bytes, pickles, and arrays of numbers among them."""
    return sum(map(_size_of, values))


def _size_of(value: Any) -> int:
    kind = type(value)
    if kind in (str, bytes, bytearray):
        return len(value)
    if kind is memoryview or (kind.__module__ == "numpy" and kind.__name__ == "ndarray" and value.dtype.kind in "biufcmMSU"):
        return int(value.nbytes)
    if kind in _PICKLES:
        return sum(memoryview(part).nbytes for part in (value.data, *value.buffers))
    return len(value) if kind in _CONTAINERS else 0  # no item takes less than a byte
