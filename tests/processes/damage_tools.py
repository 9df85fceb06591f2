"""Spoils what this process sends next that is large: on either side of a channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

from snakepit_bridge.base_adapter import BaseAdapter, tool
from snakepit_bridge.wire.attachments import Departure

Row = list[Any]


def _row(at: int, change: Callable[[Any], Any], *, new: bool = False) -> Callable[[Row], Row]:
    """Changes one number of where the first attachment lies; in a segment that is said to be new?"""

    def changed(table: Row) -> Row:
        row = list(table[0])
        row[at] = change(row[at])
        row[2] += 1000 * new
        return [row, *table[1:]]

    return changed


#: What may be wrong with the table of what is attached when it comes over the channel,
SIZES: dict[str, Callable[[Row], Row]] = {
    "less": lambda table: [table[0] - 1],
    "negative": lambda table: [-table[0]],
    "a text": lambda _table: ["x"],
    "a fraction": lambda table: [table[0] / 2 + 0.5],
    "no table": lambda _table: [],
    "too much": lambda _table: [2**60],
}
#: when it lies in shared memory,
PLACES: dict[str, Callable[[Row], Row]] = {
    "six numbers": lambda table: [table[0][:6]],
    "no process": _row(0, lambda _pid: 2**22 + 1, new=True),
    "another file": _row(1, lambda _fd: 0, new=True),
    "another size": _row(3, lambda size: size + 4096),
    "beyond the end": _row(4, lambda _place: 2**50),
    "nothing": _row(5, lambda _nbytes: 0),
    "texts": _row(6, str),
}
#: and with the frame that it belongs to.
HEADS: dict[str, Callable[[bytes], bytes]] = {
    "kind": lambda head: head.replace(b"numpy.ndarray", b"numpy.ndarrax"),
    "dtype": lambda head: head.replace(b"<f8", b"<f9"),
    "objects": lambda head: head.replace(b"<f8", b"|O8"),
    "width": lambda head: head.replace(b"<f8", b"<f4"),
    "cut": lambda head: head[:-2],
}


def spoil(how: str, sent: Callable[[], None] = lambda: None, *, sound: int = 0) -> None:
    """Spoil the next frame with attachments that leaves this process after so many sound ones, and no other."""
    announce, begin, left = Departure.announce, Departure.__init__, [None] * sound

    def spoiled_table(departure: Departure) -> Row:
        if left:
            left.pop()
            return announce(departure)
        Departure.announce = announce  # type: ignore[method-assign]
        table = announce(departure)
        sent()
        return {**SIZES, **PLACES}[how](table)

    def spoiled_head(departure: Departure, *args: Any) -> None:
        if left:
            left.pop()
            begin(departure, *args)
            return
        Departure.__init__ = begin  # type: ignore[method-assign]
        begin(departure, *args)
        whole, departure.head = departure.head, HEADS[how](departure.head)
        assert departure.head != whole
        sent()

    if how in HEADS:
        Departure.__init__ = spoiled_head  # type: ignore[assignment, method-assign]
    else:
        Departure.announce = spoiled_table  # type: ignore[method-assign]


class DamageTools(BaseAdapter):
    @tool
    def damaged(self, how: str, count: int) -> Any:
        spoil(how)
        return numpy.arange(float(count))

    @tool
    def damaged_chunk(self, how: str, count: int) -> Any:
        spoil(how, sound=1)
        yield numpy.zeros(count)
        yield numpy.ones(count)

    @tool
    def total(self, value: Any) -> float:
        return float(value.sum())
