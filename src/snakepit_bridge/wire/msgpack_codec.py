"""MessagePack, by msgspec where it is installed, else by the msgpack package: the same bytes from either.

An integer beyond 64 bits is an extension of type 1: its bytes in two's complement, big-endian. A typed binary value is one of type 2:
an array of its kind, of what is known of it, and of its buffers, or their numbers where they lie beside the value. Moments are the
timestamps that MessagePack itself defines. Any other extension is not ours.
"""

import datetime
import enum
import sys
import types
from typing import Any, Callable, NamedTuple, Sequence

from .attachments import Encoded, parcel
from .coding import Codec, Malformed, fits_64_bits, with_hashable_keys, with_room
from .installed import install_command, is_installed
from .lifting import Lift, Typed, typed_value
from .plain import FINE, TYPED, find_culprit, look, to_plain

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

#: What the msgpack package packs by itself, beside None.
_PACKED = (str, int, float, bytes, list, tuple, dict)

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


class MsgpackCodec(Codec):
    """MessagePack by whichever library there is."""

    name = "msgpack"

    def __init__(self) -> None:
        self._library = _library()
        self._pack = self._library.encode
        self._unpack = self._library.decoder(())

    def encode(self, value: Any) -> bytes:
        found = look(value)
        return self._written(value, Lift(None).lifted(value) if found & TYPED else value)

    def pack(self, value: Any) -> Encoded:
        if look(value) == FINE:  # on the path of every chunk: no call more than must be
            try:
                return self._pack(value)
            except Exception:
                return self._written(value, value)
        lift = Lift(self.threshold)
        return parcel(self._written(value, lift.lifted(value)), lift.buffers)

    def decode(self, data: bytes) -> Any:
        try:
            return self._unpack(data)
        except Exception:
            return self._read(self._unpack, data)

    def unpack(self, data: bytes, buffers: "Sequence[memoryview]") -> Any:
        return self._read(self._library.decoder(buffers), data)

    def array(self, items: Sequence[bytes]) -> bytes:
        count = len(items)
        if count < 16:
            head = bytes((0x90 | count,))
        elif count < 65536:
            head = b"\xdc" + count.to_bytes(2, "big")
        else:
            head = b"\xdd" + count.to_bytes(4, "big")
        return head + b"".join(items)

    def _written(self, value: Any, lifted: Any) -> bytes:
        try:
            return self._pack(lifted)
        except OverflowError:
            return self._encode_wide(lifted)
        except Exception as error:  # Every library has its own family of errors; what matters is which value it was.
            raise find_culprit(value, error) from error

    def _encode_wide(self, value: Any) -> bytes:
        """Encode what overflowed: the only values that are copied for it."""
        try:
            return self._pack(_marked(value))
        except Exception as error:
            raise find_culprit(value, error) from error

    @staticmethod
    def _read(decode: Callable[[bytes], Any], data: bytes) -> Any:
        try:
            return with_room(decode, data)
        except Exception as error:
            raise Malformed("not MessagePack: %.200s" % error) from error


def is_available() -> bool:
    """Is there a library for it?"""
    return msgspec is not None or is_installed("msgpack")


# Integers beyond 64 bits ------------------------------------------------------------------------------------------------


class _Wide:
    """Stands for such an integer until the library asks what it is; can be a key, which the libraries' own extensions cannot."""

    __slots__ = ("data",)

    def __init__(self, value: int) -> None:
        self.data = value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _marked(value: Any) -> Any:
    """The value with a `_Wide` for each integer that needs one. Tuples stay tuples: they may be keys."""
    if isinstance(value, enum.Enum):
        return _marked(value.value)
    if isinstance(value, int):
        return value if fits_64_bits(value) else _Wide(int.__int__(value))
    if isinstance(value, (dict, types.MappingProxyType)):
        return {_marked(key): _marked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_marked(item) for item in value]
    if isinstance(value, (tuple, set, frozenset)):
        return tuple(map(_marked, value))
    if hasattr(type(value), "__dataclass_fields__"):
        return _marked(to_plain(value))
    return value


def _wide_int(data: Any) -> int:
    if not data:
        raise ValueError("an integer without bytes")
    return int.from_bytes(data, "big", signed=True)


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


def _msgspec() -> _Library:
    extension, decoder_of = msgspec.msgpack.Ext, msgspec.msgpack.Decoder

    def plain(value: Any) -> Any:
        if type(value) is _Wide:
            return extension(WIDE_INT, value.data)
        return extension(TYPED_VALUE, encode(value.parts)) if type(value) is Typed else to_plain(value)

    encode = msgspec.msgpack.Encoder(enc_hook=plain).encode
    return _Library(encode, lambda buffers: decoder_of(ext_hook=_extensions(buffers, decoder_of().decode)).decode)


def _extensions(buffers: "Sequence[memoryview]", decode: Callable[[Any], Any]) -> Callable[[int, Any], Any]:
    """Reads extensions, with the attachments of one value; `decode` reads what is in them."""

    def extension(code: int, data: Any) -> Any:
        if code == WIDE_INT:
            return _wide_int(data)
        if code == TYPED_VALUE:
            return typed_value(decode(data), buffers)
        raise ValueError("extension type %d with %d bytes is not ours" % (code, len(data)))

    return extension


def _msgpack() -> _Library:
    import msgpack

    def plain(value: Any) -> Any:
        """At once: this library asks once per value, and not again about the answer."""
        if type(value) is _Wide:
            return msgpack.ExtType(WIDE_INT, value.data)
        if type(value) is Typed:
            return msgpack.ExtType(TYPED_VALUE, pack(value.parts))
        if type(value) is datetime.datetime and value.tzinfo is not None:
            # Not the library's `datetime=True`: it writes moments outside of the years 1 to 9999 (UTC), and none can read them.
            since = value.astimezone(datetime.timezone.utc) - _EPOCH
            return msgpack.Timestamp(since.days * 86400 + since.seconds, since.microseconds * 1000)
        found = to_plain(value)
        return found if found is None or isinstance(found, _PACKED) else plain(found)

    def pack(value: Any) -> bytes:
        return msgpack.packb(value, use_bin_type=True, default=plain)  # type: ignore[no-any-return,unused-ignore]

    def decoder(buffers: "Sequence[memoryview]") -> Callable[[bytes], Any]:
        options = {"raw": False, "strict_map_key": False, "timestamp": 3}
        extension = _extensions(buffers, lambda data: msgpack.unpackb(data, **options))

        def unpack(data: bytes) -> Any:
            try:
                return msgpack.unpackb(data, ext_hook=extension, **options)
            except TypeError:  # a key that is an array
                return msgpack.unpackb(data, ext_hook=extension, object_pairs_hook=with_hashable_keys, **options)

        return unpack

    return _Library(pack, decoder)
