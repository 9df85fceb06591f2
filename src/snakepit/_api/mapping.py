"""Many small calls of one tool: which are open, and in which order their outcomes are given. What both faces of `map` share; no I/O."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from snakepit._pool.call import Ended, Failed, Item
from snakepit._pool.tools import ToolSpec
from snakepit.config import PoolConfig
from snakepit.errors import InvalidParameter, PoolClosed, SnakepitError

#: Calls of a `map` at once, unless told otherwise: enough that no worker ever waits for this side.
USUAL_WINDOW = 64
_PER_WORKER = 4
#: Once items have taken longer than this to come (seconds), those so far are submitted before further ones are asked for. What comes right
#: before a source blocks for the first time waits for it: without a thread, a source that blocks cannot be left.
_PATIENCE = 1e-3
#: Before a slow source is asked again, results are waited for: by a tenth of what its last items took, and no longer than this (seconds).
_LONGEST_WAIT = 0.05


class MapResult(NamedTuple):
    """How one call of `stream_map` has ended.

    Attributes:
        number: its item's, from 0.
        value: what the tool returned; None where it failed.
        error: what it raised; None where it ended well.
    """

    number: int
    value: Any
    error: SnakepitError | None

    def get(self) -> Any:
        """The value; raises the error."""
        if self.error is not None:
            raise self.error
        return self.value


#: An item that is due: its number, and the arguments of its call.
Due = tuple[int, Mapping[str, Any]]


class Calls:
    """The calls of one `map`, of which no more than `window` are ahead of their reader.

    Args:
        items: what is to be done; taken one by one, and only as far as the window reaches.
        ordered: outcomes are given in the order of the items.
        clock: seconds, as `time.monotonic` gives them.

    Attributes:
        wait: how long results may be waited for before more items are taken (seconds): the source is slow.
    """

    def __init__(
        self, items: Iterable[Any], spec: ToolSpec, window: int, *, ordered: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._items = enumerate(items)
        self._spec = spec
        self._window = window
        self._ordered = ordered
        self._clock = clock
        self._open: set[int] = set()
        self._ended: dict[int, MapResult] = {}  # in order: those that have to wait for one before them
        self._ready: collections.deque[MapResult] = collections.deque()
        self._next = 0  # in order: whose turn it is
        self._ahead = 0  # submitted, and not given to the reader
        self._exhausted = False
        self.wait = 0.0
        self.broken: Exception | None = None

    @property
    def has_results(self) -> bool:
        """Is there something to `take`?"""
        return bool(self._ready)

    @property
    def open(self) -> int:
        """How many have not ended."""
        return len(self._open)

    @property
    def done(self) -> bool:
        """Has all been given?"""
        return self._exhausted and not self._ahead

    @property
    def has_room(self) -> bool:
        """Are more of them to be taken, as far as is known?"""
        return self._ahead < self._window and not self._exhausted

    def due(self) -> list[Due]:
        """New ones, as many as the window has room for, if they come fast; else those that have come. They are to be submitted.

        What the items raise ends them: it is `broken`, and is to be raised when all before it has been given. An item that is no
        arguments has ended by that.
        """
        due: list[Due] = []
        began, took, self.wait = self._clock(), 0.0, 0.0
        while self.has_room and took < _PATIENCE:
            try:
                found = next(self._items, None)
            except Exception as error:
                found, self.broken = None, error
            if found is None:
                self._exhausted = True
                break
            took = self._clock() - began
            index, item = found
            self._ahead += 1
            try:
                due.append((index, arguments_of(self._spec, index, item)))
            except InvalidParameter as error:
                self.ended([(index, Failed(error))])
            else:
                self._open.add(index)
        if took >= _PATIENCE:
            self.wait = min(took / 10, _LONGEST_WAIT)
        return due

    def ended(self, news: Iterable[tuple[int, Item]]) -> None:
        """These have ended."""
        for index, item in news:
            self._open.discard(index)
            if isinstance(item, Ended):
                self._ended[index] = MapResult(index, item.value, None)
            elif isinstance(item, Failed):
                item.error.details["item"] = index
                item.error.add_note(f"item {index}")
                self._ended[index] = MapResult(index, None, item.error)
        if not self._ordered:
            self._ready.extend(self._ended.values())
            self._ended.clear()
        while self._next in self._ended:
            self._ready.append(self._ended.pop(self._next))
            self._next += 1

    def take(self) -> Iterator[MapResult]:
        """What can be given now, each once."""
        while self._ready:
            self._ahead -= 1
            yield self._ready.popleft()


def arguments_of(spec: ToolSpec, index: int, item: Any) -> Mapping[str, Any]:
    """An item as arguments by name: a mapping as it is, anything else for the tool's first parameter.

    Raises:
        InvalidParameter: the tool takes none.
    """
    if isinstance(item, Mapping):
        return item
    first = next((part.name for part in spec.parameters if not part.kind.startswith("var_")), None)
    if first is None:
        message = f"item {index} of {spec.name!r} is of type {type(item).__name__}, and the tool has no parameter for it"
        raise InvalidParameter(message, hint="give arguments by name, a dict for each call", tool=spec.name, field="items")
    return {first: item}


def window_of(window: int | None, config: PoolConfig) -> int:
    """How many calls of a `map` may be ahead of its reader: never more than the queue takes.

    Raises:
        InvalidParameter: `window` is no whole number above 0.
    """
    most = config.queue_size or config.size  # more of them would be refused
    if window is None:
        return max(1, min(max(USUAL_WINDOW, _PER_WORKER * config.size), most))
    if isinstance(window, bool) or not isinstance(window, int) or window < 1:
        raise InvalidParameter(f"window is {window!r}; allowed is a whole number from 1 on", field="window", value=window)
    return min(window, most)


def items_of(items: Any) -> Iterable[Any]:
    """What can be gone through.

    Raises:
        InvalidParameter: it cannot, or is a single one.
    """
    if isinstance(items, (str, bytes, Mapping)) or not isinstance(items, Iterable):
        kind = type(items).__name__
        hint = "give a list, a generator or another iterable, with the arguments of one call each"
        raise InvalidParameter(f"items is of type {kind}; allowed is an iterable of items", hint=hint, field="items", got=kind)
    return items


def itself(result: MapResult) -> MapResult:
    """What `stream_map` gives of a result.

    Raises:
        PoolClosed: so has this one ended, and all others would.
    """
    if isinstance(result.error, PoolClosed):
        raise result.error
    return result
