"""Which parts of a segment are taken: first fit, in order of place. Pure."""

from typing import Dict, List, Optional, Tuple

#: Places begin at multiples of this (bytes): a cache line, and more than any item of an array needs.
ALIGNMENT = 64


def rounded(nbytes: int, unit: int = ALIGNMENT) -> int:
    """The next multiple of `unit`."""
    return -(-nbytes // unit) * unit


class Space:
    """A run of `size` bytes that is given out in parts."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._free: List[Tuple[int, int]] = [(0, size)]  # (place, length), by place, no two of them adjacent
        self._taken: Dict[int, int] = {}

    @property
    def is_empty(self) -> bool:
        """Is nothing of it taken?"""
        return not self._taken

    @property
    def taken(self) -> int:
        """How much is (bytes)."""
        return sum(self._taken.values())

    def take(self, nbytes: int) -> Optional[int]:
        """The place of so many bytes; None: there is no room for them in one piece."""
        need = rounded(max(nbytes, 1))
        for index, (place, length) in enumerate(self._free):
            if length >= need:
                if length == need:
                    del self._free[index]
                else:
                    self._free[index] = (place + need, length - need)
                self._taken[place] = need
                return place
        return None

    def give_back(self, place: int) -> None:
        """What begins there is free again.

        Raises:
            KeyError: nothing that was taken begins there.
        """
        length = self._taken.pop(place)
        at = next((index for index, (other, _) in enumerate(self._free) if other > place), len(self._free))
        if at < len(self._free) and place + length == self._free[at][0]:
            length += self._free.pop(at)[1]
        if at and sum(self._free[at - 1]) == place:
            before, size = self._free.pop(at - 1)
            place, length, at = before, size + length, at - 1
        self._free.insert(at, (place, length))
