"""Codecs: a value to bytes and back. `msgpack` when a MessagePack library is there, `json` always.

Both carry None, bool, int, float, str, bytes, list, tuple (arrives as list) and dict, at any depth, and moments: a
datetime with a time zone arrives as the same moment in UTC. What a codec cannot hold raises `Unserialisable` with the
path to it; bytes that are not its language raise `Malformed`. Nothing else escapes.
"""

import base64
import datetime
import json
import threading
from importlib.util import find_spec
from typing import Any, Callable, Dict, Iterable, List, Sequence

from .plain import Unserialisable, find_culprit, to_plain, within_64_bits

try:
    import msgspec
except ImportError:  # Fine: the msgpack package or JSON serve.
    msgspec = None  # type: ignore[assignment,unused-ignore]

__all__ = ["Codec", "JsonCodec", "Malformed", "MsgpackCodec", "Unserialisable", "available_codecs", "codec_named"]


class Malformed(Exception):
    """These bytes are not what the codec writes."""


class Codec:
    """One encoding of values; `array` joins values that are already encoded."""

    name = ""

    def encode(self, value: Any) -> bytes:
        """Encode any supported value.

        Raises:
            Unserialisable: the value holds something no codec carries; the error says where.
        """
        raise NotImplementedError

    def decode(self, data: bytes) -> Any:
        """The value that `encode` was given (tuples as lists).

        Raises:
            Malformed: `data` is cut short or was never ours.
        """
        raise NotImplementedError

    def array(self, items: Sequence[bytes]) -> bytes:
        """One array of values that are encoded already."""
        raise NotImplementedError


class MsgpackCodec(Codec):
    """MessagePack, by msgspec where it is installed, else by the msgpack package."""

    name = "msgpack"

    def __init__(self) -> None:
        self._pack, self._unpack = _msgpack_functions()

    def encode(self, value: Any) -> bytes:
        try:
            return self._pack(value)
        except Exception as error:  # Every library has its own family of errors; what matters is which value it was.
            raise find_culprit(value, error) from error

    def decode(self, data: bytes) -> Any:
        try:
            return _with_room(self._unpack, data)
        except Exception as error:
            raise Malformed("not MessagePack: %s" % error) from error

    def array(self, items: Sequence[bytes]) -> bytes:
        count = len(items)
        if count < 16:
            head = bytes((0x90 | count,))
        elif count < 65536:
            head = b"\xdc" + count.to_bytes(2, "big")
        else:
            head = b"\xdd" + count.to_bytes(4, "big")
        return head + b"".join(items)


def _msgpack_functions() -> "tuple[Callable[[Any], bytes], Callable[[bytes], Any]]":
    if msgspec is not None:
        return msgspec.msgpack.Encoder(enc_hook=to_plain).encode, msgspec.msgpack.Decoder().decode
    if find_spec("msgpack") is not None:
        import msgpack

        def pack(value: Any) -> bytes:
            return msgpack.packb(value, use_bin_type=True, datetime=True, default=_plain_at_once)  # type: ignore[no-any-return,unused-ignore]

        def unpack(data: bytes) -> Any:
            try:
                return msgpack.unpackb(data, raw=False, strict_map_key=False, timestamp=3)
            except TypeError:  # a key that is an array
                return msgpack.unpackb(data, raw=False, strict_map_key=False, timestamp=3, object_pairs_hook=_with_hashable_keys)

        return pack, unpack
    raise ImportError("MessagePack needs msgspec or msgpack: pip install msgspec")


def _plain_at_once(value: Any) -> Any:
    """`to_plain` for a library that asks once per value, and not again about the answer."""
    plain = to_plain(value)
    return plain if plain is None or isinstance(plain, (str, int, float, bytes, list, dict)) else _plain_at_once(plain)


def _with_hashable_keys(pairs: Iterable[Any]) -> Dict[Any, Any]:
    return {_hashable(key): item for key, item in pairs}


def _hashable(key: Any) -> Any:
    return tuple(map(_hashable, key)) if isinstance(key, list) else key


class JsonCodec(Codec):
    """JSON by the standard library, with a mark for what JSON lacks: bytes, moments, and dicts whose keys are not all strings."""

    name = "json"

    #: A one-key object whose key starts so is ours; a user's own such object is wrapped.
    MARK = "\x00"

    def encode(self, value: Any) -> bytes:
        try:
            return json.dumps(self._marked(value), separators=(",", ":"), ensure_ascii=False).encode("utf-8")
        except Exception as error:
            raise find_culprit(value, error) from error

    def decode(self, data: bytes) -> Any:
        try:
            return _with_room(self._loads, data)
        except Exception as error:
            raise Malformed("not JSON: %s" % error) from error

    def _loads(self, data: bytes) -> Any:
        return json.loads(bytes(data).decode("utf-8"), object_hook=self._unmarked)

    def array(self, items: Sequence[bytes]) -> bytes:
        return b"[" + b",".join(items) + b"]"

    def _marked(self, value: Any) -> Any:
        kind = type(value)
        if value is None or kind is str or kind is bool or kind is float:
            return value
        if kind is int:
            return within_64_bits(value)
        if isinstance(value, dict):
            return self._marked_dict(value)
        if isinstance(value, (list, tuple)):
            return [self._marked(item) for item in value]
        if isinstance(value, (bytes, bytearray, memoryview)):
            return {self.MARK + "b": base64.b64encode(value).decode("ascii")}
        if kind is datetime.datetime and value.tzinfo is not None:
            return {self.MARK + "t": value.astimezone(datetime.timezone.utc).isoformat()}
        return self._marked(to_plain(value))

    def _marked_dict(self, value: Dict[Any, Any]) -> Any:
        if all(type(key) is str for key in value):
            plain: Any = {key: self._marked(item) for key, item in value.items()}
            if len(plain) == 1 and next(iter(plain)).startswith(self.MARK):
                return {self.MARK + "d": [[key, item] for key, item in plain.items()]}
            return plain
        return {self.MARK + "d": [[self._marked(key), self._marked(item)] for key, item in value.items()]}

    def _unmarked(self, value: Dict[str, Any]) -> Any:
        if len(value) != 1:
            return value
        ((key, content),) = value.items()
        if key == self.MARK + "b":
            return base64.b64decode(content, validate=True)
        if key == self.MARK + "t":
            return datetime.datetime.fromisoformat(content)
        if key == self.MARK + "d":
            return _with_hashable_keys(content)
        return value


def _with_room(decode: Callable[[bytes], Any], data: bytes) -> Any:
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


def available_codecs() -> List[str]:
    """Names of the codecs this interpreter can use, best first."""
    return ["msgpack", "json"] if msgspec is not None or find_spec("msgpack") is not None else ["json"]


def codec_named(name: str) -> Codec:
    """A codec by its name.

    Raises:
        ImportError: `msgpack` without a MessagePack library.
        ValueError: no such codec.
    """
    if name == "msgpack":
        return MsgpackCodec()
    if name == "json":
        return JsonCodec()
    raise ValueError("no codec is named %r: use one of msgpack, json" % (name,))
