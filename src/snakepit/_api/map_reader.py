"""What the readers of both faces share that `map` and `stream_map` give: which calls it is about, how it is left, how it shows."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from snakepit._pool.bundle import Job, News, Slot
from snakepit._pool.call import Call, Failed
from snakepit._pool.engine import Engine
from snakepit._pool.failures import closed
from snakepit._pool.tools import ToolSpec
from snakepit.config import PoolConfig
from snakepit.errors import InvalidParameter, SnakepitError

from .arguments import call_timeout, called
from .mapping import Calls, Due, MapResult, items_of, window_of
from .options import CallOptions, prepare

T = TypeVar("T")


class Request(Generic[T]):
    """What one `map` is asked for, checked as far as that goes before the pool is there.

    Args:
        ordered: outcomes are given in the order of the items. given: what the reader gets of one; may raise.

    Raises:
        InvalidParameter: the timeout, the window, the order or the items are nothing of the kind.
    """

    def __init__(
        self,
        config: PoolConfig,
        tool: str,
        items: Iterable[Any],
        window: int | None,
        timeout: float | None,
        options: CallOptions,
        *,
        ordered: bool,
        given: Callable[[MapResult], T],
    ) -> None:
        if not isinstance(ordered, bool):
            raise InvalidParameter(f"ordered is {ordered!r}; allowed is True or False", field="ordered", value=ordered)
        self.tool = tool
        self.options = options
        self.given = given
        self._config = config
        self._items = items_of(items)
        self._window = window_of(window, config)
        self._timeout = call_timeout("timeout", timeout)
        self._ordered = ordered

    def calls(self, tools: Mapping[str, ToolSpec]) -> Calls:
        """Its calls.

        Raises:
            UnknownTool, WrongCallStyle: there is no such tool, or it streams.
        """
        return Calls(self._items, called(tools, self.tool), self._window, ordered=self._ordered)

    def make(self, engine: Engine, job: Job, due: list[Due], calls: list[Call], refused: Callable[[News], object]) -> None:
        """Put the calls of these items into `calls`, to be submitted: small ones of a short tool together, others each by itself.

        Args:
            refused: told of those that are no arguments of this tool.
        """
        size = engine.together.size(called(engine.tools, self.tool), self._window) if not self.options else 1
        parts: list[tuple[int, dict[str, Any]]] = []
        for index, args in due:
            try:
                sent, extra = prepare(engine.tools, self._config, self.tool, args, self.options, streaming=False)
            except SnakepitError as error:
                refused([(index, Failed(error))])
                continue
            if size == 1 or extra or not engine.together.takes(sent):
                calls.append(self._alone(engine, job, index, sent, extra))
                continue
            parts.append((index, sent))
            if len(parts) == size:
                calls.append(self._together(engine, job, parts))
                parts = []
        if parts:
            calls.append(self._together(engine, job, parts))

    def _alone(self, engine: Engine, job: Job, index: int, sent: dict[str, Any], extra: dict[str, Any]) -> Call:
        return engine.new_call(self.tool, sent, Slot(job, index), streaming=False, timeout=self._timeout, **extra)

    def _together(self, engine: Engine, job: Job, parts: list[tuple[int, dict[str, Any]]]) -> Call:
        if len(parts) == 1:
            return self._alone(engine, job, *parts[0], {})
        bundle = engine.together.bundle(self.tool, parts, job)
        return engine.new_call(self.tool, {}, bundle, streaming=False, timeout=self._timeout, bundle=bundle)


class MapReader(Generic[T]):
    """The results of many calls. Calls do not refer to it: one that is dropped ends, and they with it.

    Args:
        put: takes what comes of the calls, on the loop's thread.
    """

    def __init__(self, engine: Engine, request: Request[T], put: Callable[[News], object]) -> None:
        self._engine = engine
        self._request = request
        self._job = Job(put)
        self._calls = request.calls(engine.tools)
        self._current: Iterator[MapResult] = iter(())
        self._closed = False
        self._submit()
        self._begun = True  # and nothing has been waited for since

    def close(self) -> None:
        """Cancel what has not ended. Harmless when all has."""
        if not self._closed:
            self._closed = True
            self._current = iter(())
            if not self._calls.done:
                self._engine.leave_job(self._job, "its reader left the map")

    def __del__(self) -> None:
        if hasattr(self, "_closed"):
            self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._request.tool!r}, {'ended' if self._closed else f'{self._calls.open} calls open'}>"

    def _submit(self) -> None:
        """Submit what the window has room for."""
        calls: list[Call] = []
        try:
            self._request.make(self._engine, self._job, self._calls.due(), calls, self._calls.ended)
        except BaseException:  # Ctrl-C, or the pool takes no calls: none of these is left behind
            never_submitted(calls)
            self.close()
            raise
        if calls:
            self._begin(calls)

    def _begin(self, calls: list[Call]) -> None:
        raise NotImplementedError

    def _give(self, result: MapResult) -> T:
        try:
            return self._request.given(result)
        except BaseException:  # the call has failed: the others are of no use any more
            self.close()
            raise

    def _goes_on(self) -> bool:
        """Submit what there is room for now. False: all has been given; raises what the items have raised after the last."""
        if not self._begun:
            self._submit()
        self._begun = False
        self._closed = self._closed or self._calls.done
        if self._closed and self._calls.broken is not None:
            error, self._calls.broken = self._calls.broken, None
            raise error
        self._current = self._calls.take()
        return not self._closed


def never_submitted(calls: list[Call]) -> None:
    """Calls that were made go nowhere: their spans end, and the host tool that made them has them no longer."""
    for call in calls:
        call.mailbox = queue.SimpleQueue()  # the loop, where a job is told, may have ended
        call.finish(Failed(closed()))


def submit_all(engine: Engine, job: Job, calls: list[Call]) -> None:
    """On the loop's thread: these are calls of the job from now on."""
    job.enter(calls)
    for call in calls:
        engine.submit(call)
