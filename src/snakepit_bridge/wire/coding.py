"""What every codec is: `encode`, `decode`, `array`, and the errors of each. `codecs` finds one by its name."""

import threading
from typing import Any, Callable, Dict, Iterable, List, Sequence

from .attachments import Encoded
from .malformed import Malformed

__all__ = ["Codec", "Malformed", "fits_64_bits", "with_hashable_keys", "with_room"]

#: From this size on (bytes), what is binary lies beside the rest, where a channel carries attachments.
BINARY_THRESHOLD = 10 * 1024


class Codec:
    """One encoding of values; `array` joins values that are already encoded."""

    name = ""
    threshold = BINARY_THRESHOLD

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

    def pack(self, value: Any) -> Encoded:
        """Encode a value for a channel that carries attachments: large buffers in it are not copied, but lie beside it.

        Raises:
            Unserialisable: as `encode`.
        """
        return self.encode(value)

    def pack_value(self, value: Any) -> Encoded:
        """`pack` for a value that is by itself, and no frame: a tuple stays one.

        Raises:
            Unserialisable: as `encode`.
        """
        return self.encode_value(value)

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
