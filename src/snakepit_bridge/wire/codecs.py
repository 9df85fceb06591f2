"""Codecs: a value to bytes and back. `msgpack` when a MessagePack library is there, `json` always.

Both carry None, bool, int of any size, float, str, bytes, list and dict, and the types of `rich`: tuples, sets, dates and times,
decimals, UUIDs, paths, complex numbers; at any depth, and equal. What a codec cannot hold raises `Unserialisable` with the path to
it; bytes that are not its language raise `Malformed`. Nothing else escapes.
"""

from typing import List

from . import msgpack_codec
from .coding import Codec, Malformed
from .json_codec import JsonCodec
from .msgpack_codec import MsgpackCodec
from .plain import Unserialisable

__all__ = ["Codec", "JsonCodec", "Malformed", "MsgpackCodec", "Unserialisable", "available_codecs", "codec_named"]


def available_codecs() -> List[str]:
    """Names of the codecs this interpreter can use, best first."""
    return ["msgpack", "json"] if msgpack_codec.is_available() else ["json"]


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
