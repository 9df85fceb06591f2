"""A codec around another: texts and bytes of some length become attachments, so that tests need no large values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from snakepit_bridge.wire.attachments import Encoded, parcel
from snakepit_bridge.wire.codecs import Codec, Malformed

#: What stands in the place of one: a dict with these keys, which no test's values have.
_KEYS = ("\u2709", "is_text")


class ApartCodec(Codec):
    """`pack` and `unpack` as codecs with typed values have them.

    Args:
        least: from this length on (bytes) it lies beside the rest.
    """

    def __init__(self, codec: Codec, least: int) -> None:
        super().__init__()
        self.name = f"apart over {codec.name}"
        self._least = least
        self._codec = codec
        self.encode = codec.encode  # type: ignore[method-assign]
        self.decode = codec.decode  # type: ignore[method-assign]
        self.array = codec.array  # type: ignore[method-assign]

    def pack(self, value: Any, facts: dict[str, Any] | None = None) -> Encoded:
        """Lift what is long."""
        buffers: list[memoryview] = []

        def lifted(item: Any) -> Any:
            if isinstance(item, dict):
                return {key: lifted(part) for key, part in item.items()}
            if isinstance(item, (list, tuple)):
                return [lifted(part) for part in item]
            if isinstance(item, (str, bytes)) and len(item) >= self._least:
                buffers.append(memoryview(item.encode() if isinstance(item, str) else item))
                return {_KEYS[0]: len(buffers) - 1, _KEYS[1]: isinstance(item, str)}
            return item

        return parcel(self.encode(lifted(value)), buffers)

    def unpack(self, data: bytes, buffers: Sequence[memoryview]) -> Any:
        """Put it back."""
        return _whole(self.decode(data), buffers)


def _whole(item: Any, buffers: Sequence[memoryview]) -> Any:
    """No closure that calls itself: that is a cycle, which would keep the buffers."""
    if isinstance(item, dict):
        if tuple(item) == _KEYS:
            if not 0 <= item[_KEYS[0]] < len(buffers):
                raise Malformed("there is no such attachment")
            found = bytes(buffers[item[_KEYS[0]]])
            return found.decode() if item[_KEYS[1]] else found
        return {key: _whole(part, buffers) for key, part in item.items()}
    return [_whole(part, buffers) for part in item] if isinstance(item, list) else item
