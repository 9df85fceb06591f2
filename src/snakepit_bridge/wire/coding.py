"""What every codec is: `encode`, `decode`, `array`, and the errors of each. `codecs` finds one by its name."""

import copy
import threading
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple

from .attachments import Encoded, parcel
from .lifting import Lift
from .malformed import Malformed
from .plain import find_culprit

__all__ = ["Codec", "Malformed", "Terms", "fits_64_bits", "with_hashable_keys", "with_room"]

#: From this size on (bytes), what is binary lies beside the rest, where a channel carries attachments.
BINARY_THRESHOLD = 10 * 1024


class Terms:
    """What both ends of a channel have agreed on.

    Attributes:
        threshold: from this size (bytes) on, what is binary lies beside the rest.
        strict: an answer that holds what cannot travel is an error, instead of having a marker in its place.
    """

    __slots__ = ("strict", "threshold")

    def __init__(self) -> None:
        self.threshold = BINARY_THRESHOLD
        self.strict = False


class Codec:
    """One encoding of values; `array` joins values that are already encoded.

    Attributes:
        terms: of its channel.
    """

    name = ""

    def __init__(self) -> None:
        self.terms = Terms()
        self._answers = False

    @property
    def forgiving(self) -> bool:
        """Does a marker stand for what cannot travel?"""
        return self._answers and not self.terms.strict

    def for_answers(self) -> "Codec":
        """The same for results, chunks and reports: work has been done for them, which one odd part must not cost.

        Where it stands, a marker that names its type does, unless the terms are strict. What is asked raises `Unserialisable`
        at once: nothing is lost yet, and whoever asks can mend it.
        """
        twin = copy.copy(self)
        twin._answers = True
        return twin

    def encode(self, value: Any) -> bytes:
        """Encode a frame, or any supported value: an outermost tuple is an array, as frames are; see `encode_value`.

        Raises:
            Unserialisable: the value holds something no codec carries; the error says where.
        """
        raise NotImplementedError

    def encode_value(self, value: Any) -> bytes:
        """Encode a value that is by itself, and no frame: a tuple stays one.

        Raises:
            Unserialisable: as `encode`.
        """
        raise NotImplementedError

    def decode(self, data: bytes) -> Any:
        """The value that was encoded.

        Raises:
            Malformed: `data` is cut short or was never ours.
        """
        raise NotImplementedError

    def pack(self, value: Any, facts: Optional[Dict[str, Any]] = None) -> Encoded:
        """Encode a frame for a channel that carries attachments: large buffers in it are not copied, but lie beside it.

        Args:
            facts: a dict in the frame, after the values: under `types` it is told which types became what.

        Raises:
            Unserialisable: as `encode`.
        """
        return self.encode(value)

    def pack_frame(self, frame: Tuple[Any, ...], theirs: Any, facts: Optional[Dict[str, Any]] = None) -> Encoded:
        """`pack` for a frame in which `theirs` alone is a user's: what is ours can travel, and need not be looked at.

        Raises:
            Unserialisable: as `encode`.
        """
        return self.pack(frame, facts)

    def pack_value(self, value: Any, facts: Optional[Dict[str, Any]] = None) -> Encoded:
        """`pack` for a value that is by itself, and no frame: a tuple stays one.

        Raises:
            Unserialisable: as `encode`.
        """
        return self.encode_value(value)

    def _walked(self, value: Any, threshold: Optional[int], facts: Optional[Dict[str, Any]] = None) -> Encoded:
        """Encode a value of which parts have to be marked.

        Args:
            threshold: from this size on (bytes) what is binary lies beside the rest; None: nothing does.

        Raises:
            Unserialisable: as `encode`.
        """
        forgiving = self.forgiving
        lift = Lift(threshold, facts, forgiving=forgiving)
        try:
            try:
                return parcel(self._written(value, lift), lift.buffers)
            except UnicodeError:
                if not forgiving:
                    raise
                lift = Lift(threshold, facts, forgiving=True, careful=True)  # rare: most values need no look at each of their texts
                return parcel(self._written(value, lift), lift.buffers)
        except Exception as error:  # every library has its own family of errors; what matters is which value it was
            raise find_culprit(value, error, forgiving=forgiving) from error

    def _written(self, value: Any, lift: Lift) -> bytes:
        """Mark a value, and encode it."""
        raise NotImplementedError

    def unpack(self, data: bytes, buffers: Sequence[memoryview]) -> Any:
        """The value of a parcel: its head, and the buffers beside it.

        Raises:
            Malformed: as `decode`; or the buffers are not those of this value.
        """
        raise Malformed("nothing of this codec has attachments")

    def array(self, items: Sequence[bytes]) -> bytes:
        """One array of values that are encoded already."""
        raise NotImplementedError


def fits_64_bits(value: int) -> bool:
    """Is it an integer as MessagePack knows them? Larger ones travel in a form of ours."""
    return -(2**63) <= value < 2**64


def with_hashable_keys(pairs: Iterable[Any]) -> Dict[Any, Any]:
    """A dict of pairs; a key that arrived as a list was a tuple."""
    found = {}
    for key, item in pairs:  # no comprehension: its frame counts, where `pairs` are decoded one by one
        found[_hashable(key)] = item
    return found


def _hashable(key: Any) -> Any:
    return tuple(map(_hashable, key)) if isinstance(key, list) else key


def with_room(decode: Callable[[bytes], Any], data: bytes) -> Any:
    """Decode on a fresh stack where this one is too far up: what the sender's stack had room for, the receiver's must have."""
    try:
        return decode(data)
    except RecursionError:
        outcome: List[Any] = []

        def run() -> None:
            try:
                outcome.append(decode(data))
            except Exception as error:
                outcome.extend((None, error))

        thread = threading.Thread(target=run, name="snakepit-decode")
        thread.start()
        thread.join()
        if len(outcome) > 1:
            raise outcome[1] from None
        return outcome[0]
