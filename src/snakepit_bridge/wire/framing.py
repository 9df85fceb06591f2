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
    """

    def __init__(self, limit: int = MAX_MESSAGE_BYTES) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._broken = False

    def feed(self, data: "Union[bytes, memoryview]") -> List[Union[bytes, Fault]]:
        """Take bytes in, give back each message they complete, and a `Fault` if a length is impossible."""
        if self._broken:
            return []
        self._buffer += data
        found: List[Union[bytes, Fault]] = []
        start = 0
        while len(self._buffer) - start >= 4:
            (length,) = _LENGTH.unpack_from(self._buffer, start)
            if length > self._limit:
                self._broken = True
                found.append(Fault("a message of %d bytes was announced; at most %d are allowed" % (length, self._limit)))
                break
            if len(self._buffer) - start - 4 < length:
                break
            found.append(bytes(self._buffer[start + 4 : start + 4 + length]))
            start += 4 + length
        del self._buffer[:start]
        return found

    def end(self) -> List[Union[bytes, Fault]]:
        """The stream is over; a `Fault` if that happened inside a message."""
        if self._broken or not self._buffer:
            return []
        self._broken = True
        return [Fault("the stream ended inside a message (%d bytes of it had come)" % len(self._buffer))]
