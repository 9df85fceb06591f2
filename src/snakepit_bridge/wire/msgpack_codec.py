"""MessagePack, by msgspec where it is installed, else by the msgpack package: the same bytes from either.

An integer beyond 64 bits is an extension of type 1: its bytes in two's complement, big-endian. A typed binary value is one of type 2:
an array of its kind, of what is known of it, and of its buffers, or their numbers where they lie beside the value. The types of `rich`
are extensions whose type is their letter, and whose bytes are their content in MessagePack. Older versions wrote moments as the
timestamps that MessagePack itself defines: they are still read. Any other extension is not ours.
"""

import contextlib
import sys
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from . import rich
from .attachments import Encoded
from .coding import Codec, Malformed, with_hashable_keys, with_room
from .installed import install_command, is_installed
from .lifting import Lift, Typed, typed_value
from .marking import Marking
from .plain import FINE, MAX_LEVELS, look, to_plain

try:
    import msgspec
except ImportError:  # Fine: the msgpack package or JSON serve.
    msgspec = None  # type: ignore[assignment,unused-ignore]
if getattr(msgspec, "__file__", None) is None:  # a directory of that name, perhaps in the working directory
    msgspec = None  # type: ignore[assignment,unused-ignore]

#: The extension type of integers beyond 64 bits.
WIDE_INT = 1
#: That of typed binary values.
TYPED_VALUE = 2


class MsgpackCodec(Codec):
    """MessagePack by whichever library there is."""

    name = "msgpack"

    def __init__(self) -> None:
        super().__init__()
        self._library = _library()
        self._pack = self._library.encode
        self._unpack = self._library.decoder(())

    def encode(self, value: Any) -> bytes:
        return self.encode_value(list(value) if type(value) is tuple else value)

    def encode_value(self, value: Any) -> bytes:
        if look(value):
            with contextlib.suppress(Exception):  # an integer beyond 64 bits, or a text that is none: it is walked through
                return self._pack(value)
        return self._walked(value, None)  # type: ignore[return-value]

    def pack(self, value: Any, facts: Optional[Dict[str, Any]] = None) -> Encoded:
        return self.pack_value(list(value) if type(value) is tuple else value, facts)

    def pack_frame(self, frame: Tuple[Any, ...], theirs: Any, facts: Optional[Dict[str, Any]] = None) -> Encoded:
        if look(theirs) == FINE:
            try:
                return self._pack(frame)
            except Exception:
                return self._walked(list(frame), self.terms.threshold, facts)
        return self.pack(frame, facts)

    def pack_value(self, value: Any, facts: Optional[Dict[str, Any]] = None) -> Encoded:
        if look(value) == FINE:  # on the path of every chunk: no call more than must be
            try:
                return self._pack(value)
            except Exception:
                return self._walked(value, None, facts)
        return self._walked(value, self.terms.threshold, facts)

    def decode(self, data: bytes) -> Any:
        try:
            return self._unpack(data)
        except Exception:
            return self._read(self._unpack, data)

    def unpack(self, data: bytes, buffers: "Sequence[memoryview]") -> Any:
        lent = list(buffers)
        try:
            return self._read(self._library.decoder(lent), data)
        finally:
            lent.clear()  # a decoder is in a cycle with what it calls for extensions: it would hold them until the next collection

    def array(self, items: Sequence[bytes]) -> bytes:
        count = len(items)
        if count < 16:
            head = bytes((0x90 | count,))
        elif count < 65536:
            head = b"\xdc" + count.to_bytes(2, "big")
        else:
            head = b"\xdd" + count.to_bytes(4, "big")
        return head + b"".join(items)

    def _written(self, value: Any, lift: Lift) -> bytes:
        return self._pack(_Marking(self._pack, lift).value(value, MAX_LEVELS))

    @staticmethod
    def _read(decode: Callable[[bytes], Any], data: bytes) -> Any:
        try:
            return with_room(decode, data)
        except Exception as error:
            raise Malformed("not MessagePack: %.200s" % error) from error


def is_available() -> bool:
    """Is there a library for it?"""
    return msgspec is not None or is_installed("msgpack")


# What MessagePack has no type of ----------------------------------------------------------------------------------------


class _Mark:
    """Stands for an extension until the library asks what it is; can be a key, which the libraries' own extensions cannot."""

    __slots__ = ("code", "data")

    def __init__(self, code: int, data: bytes) -> None:
        self.code = code
        self.data = data


class _Marking(Marking):
    """With an extension for each mark."""

    __slots__ = ("_pack",)

    def __init__(self, pack: Callable[[Any], bytes], lift: Lift) -> None:
        super().__init__(lift)
        self._pack = pack

    def mark(self, letter: str, content: Any) -> Any:
        return _Mark(ord(letter), self._pack(content))

    def wide(self, value: int) -> Any:
        return _Mark(WIDE_INT, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))

    def pairs(self, pairs: List[Any]) -> Any:
        return dict(pairs)

    def binary(self, value: bytes) -> Any:
        return value

    def typed(self, value: Typed) -> Any:
        return _Mark(TYPED_VALUE, self._pack(value.parts))

    def array_key(self, parts: List[Any]) -> Any:
        return tuple(parts)


# The libraries ----------------------------------------------------------------------------------------------------------


class _Library(NamedTuple):
    """One that writes and reads MessagePack.

    Attributes:
        decoder: makes one that knows the attachments of a value.
    """

    encode: Callable[[Any], bytes]
    decoder: "Callable[[Sequence[memoryview]], Callable[[bytes], Any]]"


def _library() -> _Library:
    if msgspec is not None:
        return _msgspec()
    if is_installed("msgpack"):
        return _msgpack()
    command = install_command(sys.executable, "msgspec", has_pip=is_installed("pip"))
    raise ImportError("MessagePack needs msgspec or msgpack: %s" % command)


class _Extensions:
    """Reads extensions, with the attachments of one value; `decode` reads what is in them."""

    def __init__(self, buffers: "Sequence[memoryview]") -> None:
        self._buffers = buffers
        self.decode: Callable[[Any], Any] = bytes

    def read(self, code: int, data: Any) -> Any:
        """What an extension stands for."""
        if code == WIDE_INT and data:
            return int.from_bytes(data, "big", signed=True)
        if code == TYPED_VALUE:
            return typed_value(self.decode(data), self._buffers)
        if code <= TYPED_VALUE:
            raise ValueError("extension type %d with %d bytes is not ours" % (code, len(data)))
        return rich.put_together(chr(code), self.decode(data))


def _msgspec() -> _Library:
    extension = msgspec.msgpack.Ext

    def plain(value: Any) -> Any:
        return extension(value.code, value.data) if type(value) is _Mark else to_plain(value)

    def decoder(buffers: "Sequence[memoryview]") -> Callable[[bytes], Any]:
        extensions = _Extensions(buffers)
        extensions.decode = msgspec.msgpack.Decoder(ext_hook=extensions.read).decode
        return extensions.decode

    return _Library(msgspec.msgpack.Encoder(enc_hook=plain).encode, decoder)


def _msgpack() -> _Library:
    import msgpack

    def plain(value: Any) -> Any:
        return msgpack.ExtType(value.code, value.data) if type(value) is _Mark else to_plain(value)

    def pack(value: Any) -> bytes:
        return msgpack.packb(value, use_bin_type=True, default=plain)  # type: ignore[no-any-return,unused-ignore]

    def decoder(buffers: "Sequence[memoryview]") -> Callable[[bytes], Any]:
        extensions = _Extensions(buffers)
        options: Dict[str, Any] = {"raw": False, "strict_map_key": False, "timestamp": 3, "ext_hook": extensions.read}

        def unpack(data: bytes) -> Any:
            try:
                return msgpack.unpackb(data, **options)
            except TypeError:  # a key that is an array
                return msgpack.unpackb(data, object_pairs_hook=with_hashable_keys, **options)

        extensions.decode = unpack
        return unpack

    return _Library(pack, decoder)
