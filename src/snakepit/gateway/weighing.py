"""How much there is to a value: what has to be made into objects when it is read, and how many items there are to write. Pure.

Both take long by the number of items, not by the bytes of arrays and texts, and nobody else is served meanwhile.
"""

from __future__ import annotations

from typing import Any

#: How long what begins with this byte is, with nothing behind it (bytes).
_FIXED = {0xC0: 1, 0xC2: 1, 0xC3: 1, 0xCA: 5, 0xCB: 9, 0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9, 0xD0: 2, 0xD1: 3, 0xD2: 5, 0xD3: 9}
_FIXED |= dict.fromkeys([*range(0x80), *range(0xE0, 0x100), *range(0x80, 0xA0)], 1)  # small numbers, heads of small maps and arrays
_FIXED |= {0xDC: 3, 0xDD: 5, 0xDE: 3, 0xDF: 5}  # heads of larger ones
#: Of what has a length: how long that is, and what stands between it and the blob (bytes).
_BLOBS = {0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0), 0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1), 0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0)}
_EXTENSIONS = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}


def is_heavier(data: bytes, most: int) -> bool:
    """Is more than `most` bytes of it outside of blobs (texts, bytes, extensions)? What is no MessagePack is as heavy as it is long."""
    if len(data) <= most:
        return False
    at = weight = 0
    while at < len(data):
        first = data[at]
        size = _FIXED.get(first)
        if size is None:
            size, blob = _blob(data, at, first)
            if size == 0:
                return True
            at += blob
        at += size
        weight += size
        if weight > most:
            return True
    return False


def _blob(data: bytes, at: int, first: int) -> tuple[int, int]:
    """(bytes of its head, of itself); (0, 0): it is none."""
    if 0xA0 <= first < 0xC0:
        return 1, first - 0xA0
    if first in _EXTENSIONS:
        return 2, _EXTENSIONS[first]
    if first not in _BLOBS:
        return 0, 0
    length, extra = _BLOBS[first]
    return 1 + length + extra, int.from_bytes(data[at + 1 : at + 1 + length], "big")


def has_many_items(value: Any, most: int = 20_000) -> bool:
    """Are there more than so many items in it, at any depth? Looks at no more than that."""
    seen, waiting = 0, [value]
    while waiting:
        item = waiting.pop()
        if not isinstance(item, (dict, list, tuple, set, frozenset)):
            continue
        seen += len(item)
        if seen > most:
            return True
        waiting.extend(item.values() if isinstance(item, dict) else item)
    return False
