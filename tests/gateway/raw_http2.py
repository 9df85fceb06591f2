"""HTTP/2 by hand, as clients speak it that mean harm, or are cut off in the middle of a word."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterable
from typing import NamedTuple, Self

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
INITIAL_WINDOW_SIZE = 4
SERVICE = "/snakepit.bridge.BridgeService/"


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes


def frame(kind: int, payload: bytes = b"", flags: int = 0, stream: int = 0) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(**values: int) -> bytes:
    """A SETTINGS frame; `initial_window_size=0` lets the other side send no message at all."""
    numbers = {"initial_window_size": INITIAL_WINDOW_SIZE}
    return frame(SETTINGS, b"".join(struct.pack(">HI", numbers[name], value) for name, value in values.items()))


def header_block(headers: Iterable[tuple[str, str | bytes]]) -> bytes:
    """Each header as a literal that no table keeps."""

    def text(value: str | bytes) -> bytes:
        data = value.encode("latin-1") if isinstance(value, str) else value
        return _integer(len(data)) + data

    return b"".join(b"\x00" + text(name) + text(value) for name, value in headers)


def _integer(number: int) -> bytes:
    """A length as HPACK writes it, with a prefix of seven bits."""
    if number < 127:
        return bytes([number])
    out, rest = bytearray([127]), number - 127
    while rest >= 128:
        out.append(rest % 128 + 128)
        rest //= 128
    return bytes([*out, rest])


def request_headers(method: str, *more: tuple[str, str | bytes]) -> list[tuple[str, str | bytes]]:
    path = method if method.startswith("/") else SERVICE + method
    first = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost")]
    return [*first, ("content-type", "application/grpc"), ("te", "trailers"), *more]


def opened(method: str, *more: tuple[str, str | bytes], stream: int = 1) -> bytes:
    """A request whose message is still to come."""
    return frame(HEADERS, header_block(request_headers(method, *more)), END_HEADERS, stream)


def message(data: bytes, *, said: int | None = None, compressed: bool = False) -> bytes:
    """A gRPC message; `said` is the length that it claims to have."""
    return struct.pack(">BI", compressed, len(data) if said is None else said) + data


class Raw:
    """A connection of bytes."""

    def __init__(self, address: str, first: bytes = b"") -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        self._read = b""
        self.send(first)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def frames(self, seconds: float) -> Iterable[Frame]:
        """What comes within that time, until the other side hangs up."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(65536)
            except OSError:  # the time is over, or it was reset
                return
            if not data:
                return
            self._read += data
            while len(self._read) >= 9 and len(self._read) >= 9 + (size := int.from_bytes(self._read[:3], "big")):
                kind, flags, stream = struct.unpack(">BBI", self._read[3:9])
                yield Frame(kind, flags, stream, self._read[9 : 9 + size])
                self._read = self._read[9 + size :]

    def is_closed(self, seconds: float) -> bool:
        """Has the other side hung up, within that time?"""
        until = time.monotonic() + seconds
        for _ in self.frames(seconds):
            pass
        return time.monotonic() < until

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Vanish without a word."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        with contextlib.suppress(OSError):
            self.close()
