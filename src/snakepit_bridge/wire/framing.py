"""Length-prefix framing for byte streams: four bytes, big-endian, then the message. Does no I/O.

gRPC keeps messages apart by itself; sockets and pipes need this.
"""

import struct
from typing import List, Union

from .frames import Fault

_LENGTH = struct.Struct(">I")

#: Messages hold at most about one piece per call and the control frames before it; far more than that is not ours.
MAX_MESSAGE_BYTES = 64 * 1024 * 1024


def frame_message(message: bytes) -> bytes:
    """The message with its length in front."""
    return _LENGTH.pack(len(message)) + message


class Deframer:
    """Bytes as they come in, messages out.

    A length above the limit is refused before anything is allocated for it. After a fault everything else is ignored.

    A message that is whole in one read is cut out of it. Only one that is not is gathered, in a buffer that grows with what
    has come (a list of reads would cost far more memory than the bytes in it, if they come two by two).
    """

    def __init__(self, limit: int = MAX_MESSAGE_BYTES) -> None:
        self._limit = limit
        self._begun = bytearray()  # the message that is not whole, with its length in front
        self._size = 4  # of that when it is whole; 4 as long as its length is not known
        self._broken = False

    def feed(self, data: "Union[bytes, memoryview]") -> List[Union[bytes, Fault]]:
        """Take bytes in, give back each message they complete, and a `Fault` if a length is impossible. Keeps none of `data`."""
        found: List[Union[bytes, Fault]] = []
        if self._broken:
            return found
        start, end = self._complete(data, found) if self._begun else 0, len(data)
        while end - start >= 4 and not self._broken:
            (length,) = _LENGTH.unpack_from(data, start)
            if length > self._limit:
                found.append(self._refuse(length))
            elif end - start - 4 < length:
                self._size = 4 + length
                break
            else:
                start += 4 + length
                found.append(bytes(data[start - length : start]))
        if start < end and not self._broken:
            self._begun += data[start:]
        return found

    def end(self) -> List[Union[bytes, Fault]]:
        """The stream is over; a `Fault` if that happened inside a message."""
        if self._broken or not self._begun:
            return []
        self._broken = True
        return [Fault("the stream ended inside a message (%d bytes of it had come)" % len(self._begun))]

    def _complete(self, data: "Union[bytes, memoryview]", found: List[Union[bytes, Fault]]) -> int:
        """Give the message that has begun what it lacks; how many of the bytes that took."""
        begun, taken = self._begun, 0
        while len(begun) < self._size:
            part = data[taken : taken + self._size - len(begun)]
            begun += part
            taken += len(part)
            if len(begun) < self._size:
                return taken
            if self._size == 4:
                (length,) = _LENGTH.unpack(begun)
                if length > self._limit:
                    found.append(self._refuse(length))
                    return taken
                self._size = 4 + length
        found.append(bytes(memoryview(begun)[4:]))
        self._begun, self._size = bytearray(), 4
        return taken

    def _refuse(self, length: int) -> Fault:
        self._broken = True
        self._begun = bytearray()
        return Fault("a message of %d bytes was announced; at most %d are allowed" % (length, self._limit))
