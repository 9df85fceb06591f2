"""What a typed value is on its way: a kind, a few plain facts and raw bytes; and the checks that what arrives has to pass."""

from typing import Any, List, NamedTuple, Optional, Sequence

from ..malformed import Malformed

#: Kinds of which each buffer is read by itself.
_BY_PARTS = ("numpy.", "pickle")

#: No array of any library has more dimensions.
_MOST_DIMENSIONS = 64


class Packed(NamedTuple):
    """One value, apart from its bytes.

    Attributes:
        kind: what it is, such as `numpy.ndarray` or `pyarrow.Table`.
        meta: what else is to be known (None, bool, int, str and lists of such): any codec carries it.
        buffers: its bytes in parts, as contiguous memoryviews of format `B`; where the value is contiguous they are its own memory. They
            may arrive as they are, or joined.
    """

    kind: str
    meta: Any
    buffers: List[memoryview]

    @property
    def nbytes(self) -> int:
        """All bytes of the buffers."""
        return sum(part.nbytes for part in self.buffers)

    @property
    def pieces(self) -> List[memoryview]:
        """The buffers as they should travel where each travels by itself: a stream in one, since its reader needs it so to copy nothing."""
        return self.buffers if len(self.buffers) < 2 or self.kind.startswith(_BY_PARTS) else [joined(self.buffers)]


def joined(buffers: Sequence[memoryview]) -> memoryview:
    """The parts as one; a single one as it is."""
    return buffers[0] if len(buffers) == 1 else memoryview(b"".join(buffers))  # none at all is no byte


def split(buffers: Sequence[memoryview], lengths: Sequence[int]) -> List[memoryview]:
    """The parts again, whether they arrived joined or not.

    Raises:
        Malformed: there are more bytes than that, or fewer.
    """
    if [part.nbytes for part in buffers] == list(lengths):
        return list(buffers)
    whole, at, parts = joined(buffers), 0, []
    if whole.nbytes != sum(lengths):
        raise Malformed("%d bytes arrived of %d" % (whole.nbytes, sum(lengths)))
    for length in lengths:
        parts.append(whole[at : at + length])
        at += length
    return parts


def is_unicode(found: str) -> bool:
    """Is it a text that every codec carries, without half a pair of surrogates?"""
    try:
        found.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def fields(meta: Any, count: int) -> List[Any]:
    """A list with so many items.

    Raises:
        Malformed: it is something else.
    """
    if type(meta) not in (list, tuple) or len(meta) != count:
        raise Malformed("expected %d facts about the value, got %.80r" % (count, meta))
    return list(meta)


def text(found: Any) -> str:
    """A text.

    Raises:
        Malformed: it is something else.
    """
    if type(found) is not str:
        raise Malformed("expected a text, got %.80r" % (found,))
    return found


def text_or_none(found: Any) -> Optional[str]:
    """A text, or None.

    Raises:
        Malformed: it is something else.
    """
    return None if found is None else text(found)


def flag(found: Any) -> bool:
    """True or False.

    Raises:
        Malformed: it is something else.
    """
    if type(found) is not bool:
        raise Malformed("expected true or false, got %.80r" % (found,))
    return found


def count(found: Any) -> int:
    """How many: not negative, and no more than any memory has.

    Raises:
        Malformed: it is something else.
    """
    if type(found) is not int or not 0 <= found < 2**63:
        raise Malformed("expected a count, got %.80r" % (found,))
    return found


def shape(found: Any) -> List[int]:
    """The lengths of all dimensions.

    Raises:
        Malformed: it is something else.
    """
    if type(found) not in (list, tuple) or len(found) > _MOST_DIMENSIONS:
        raise Malformed("expected at most %d lengths, got %.80r" % (_MOST_DIMENSIONS, found))
    return [count(length) for length in found]


def check_size(buffer: memoryview, expected: int) -> None:
    """Check that all bytes are there.

    Raises:
        Malformed: there are more, or fewer.
    """
    if buffer.nbytes != expected:
        raise Malformed("expected %d bytes, got %d" % (expected, buffer.nbytes))
