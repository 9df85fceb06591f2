"""MessagePack, by msgspec where it is installed, else by the msgpack package: the same bytes from either.

An integer beyond 64 bits is an extension of type 1: its bytes in two's complement, big-endian. Moments are the timestamps
that MessagePack itself defines. Any other extension is not ours.
"""

import datetime
import enum
import sys
import types
from typing import Any, Callable, Sequence, Tuple

from .coding import Codec, Malformed, fits_64_bits, with_hashable_keys, with_room
from .installed import install_command, is_installed
from .plain import check_decodable, find_culprit, to_plain

try:
    import msgspec
except ImportError:  # Fine: the msgpack package or JSON serve.
    msgspec = None  # type: ignore[assignment,unused-ignore]
if getattr(msgspec, "__file__", None) is None:  # a directory of that name, perhaps in the working directory
    msgspec = None  # type: ignore[assignment,unused-ignore]

#: The extension type of integers beyond 64 bits.
WIDE_INT = 1

#: What the msgpack package packs by itself, beside None.
_PACKED = (str, int, float, bytes, list, tuple, dict)

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


class MsgpackCodec(Codec):
    """MessagePack by whichever library there is."""

    name = "msgpack"

    def __init__(self) -> None:
        self._pack, self._unpack = _library()

    def encode(self, value: Any) -> bytes:
        try:
            data = self._pack(value)
        except OverflowError:
            data = self._encode_wide(value)
        except Exception as error:  # Every library has its own family of errors; what matters is which value it was.
            raise find_culprit(value, error) from error
        check_decodable(value)
        return data

    def decode(self, data: bytes) -> Any:
        try:
            return with_room(self._unpack, data)
        except Exception as error:
            raise Malformed("not MessagePack: %.200s" % error) from error

    def array(self, items: Sequence[bytes]) -> bytes:
        count = len(items)
        if count < 16:
            head = bytes((0x90 | count,))
        elif count < 65536:
            head = b"\xdc" + count.to_bytes(2, "big")
        else:
            head = b"\xdd" + count.to_bytes(4, "big")
        return head + b"".join(items)

    def _encode_wide(self, value: Any) -> bytes:
        """Encode what overflowed: the only values that are copied for it."""
        try:
            return self._pack(_marked(value))
        except Exception as error:
            raise find_culprit(value, error) from error


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


def _wide_int(code: int, data: Any) -> int:
    if code != WIDE_INT or not data:
        raise ValueError("extension type %d with %d bytes is not ours" % (code, len(data)))
    return int.from_bytes(data, "big", signed=True)


# The libraries ----------------------------------------------------------------------------------------------------------


def _library() -> Tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    if msgspec is not None:
        return _msgspec()
    if is_installed("msgpack"):
        return _msgpack()
    command = install_command(sys.executable, "msgspec", has_pip=is_installed("pip"))
    raise ImportError("MessagePack needs msgspec or msgpack: %s" % command)


def _msgspec() -> Tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    extension = msgspec.msgpack.Ext

    def plain(value: Any) -> Any:
        return extension(WIDE_INT, value.data) if type(value) is _Wide else to_plain(value)

    return msgspec.msgpack.Encoder(enc_hook=plain).encode, msgspec.msgpack.Decoder(ext_hook=_wide_int).decode


def _msgpack() -> Tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    import msgpack

    def plain(value: Any) -> Any:
        """At once: this library asks once per value, and not again about the answer."""
        if type(value) is _Wide:
            return msgpack.ExtType(WIDE_INT, value.data)
        if type(value) is datetime.datetime and value.tzinfo is not None:
            # Not the library's `datetime=True`: it writes moments outside of the years 1 to 9999 (UTC), and none can read them.
            since = value.astimezone(datetime.timezone.utc) - _EPOCH
            return msgpack.Timestamp(since.days * 86400 + since.seconds, since.microseconds * 1000)
        found = to_plain(value)
        return found if found is None or isinstance(found, _PACKED) else plain(found)

    def pack(value: Any) -> bytes:
        return msgpack.packb(value, use_bin_type=True, default=plain)  # type: ignore[no-any-return,unused-ignore]

    def unpack(data: bytes) -> Any:
        options = {"raw": False, "strict_map_key": False, "timestamp": 3, "ext_hook": _wide_int}
        try:
            return msgpack.unpackb(data, **options)
        except TypeError:  # a key that is an array
            return msgpack.unpackb(data, object_pairs_hook=with_hashable_keys, **options)

    return pack, unpack
