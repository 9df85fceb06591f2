"""Calls host tools for the tools of this worker, and waits for their answers: blocking a thread, or in an event loop.

Waiting is bounded by the call's own deadline and ends at once when it is cancelled.
"""

import functools
import time
import weakref
from typing import Any, AsyncIterator, Dict, Iterator, List, Optional, Tuple

from .. import tracing
from ..call_context import CallContext
from ..host_tools import HostToolError, HostToolTimeout
from ..wire.frames import Chunks, Failure, Result
from ..wire.payload import CODE, TooLarge
from ..wire.plain import Unserialisable
from .asks import Ask
from .cancel_threads import shielded
from .link import Link
from .own_secrets import OWN


class HostCalls:
    """The way to the host's tools over one link."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def call(self, context: CallContext, name: str, args: Tuple[Any, ...], kwargs: Dict[str, Any], options: Dict[str, Any]) -> Any:
        """Call a host tool and wait: its result, or an iterator of what it yields."""
        answer = HostItems(self._link, context, name, self._ask(context, name, args, kwargs, options), options.get("timeout"))
        try:
            return answer.first(answer.next())
        except BaseException:  # an interruption too
            answer.close()
            raise

    async def call_async(
        self, context: CallContext, name: str, args: Tuple[Any, ...], kwargs: Dict[str, Any], options: Dict[str, Any]
    ) -> Any:
        """`call`, awaited: its result, or an async iterator."""
        answer = AsyncHostItems(self._link, context, name, self._ask(context, name, args, kwargs, options), options.get("timeout"))
        try:
            return answer.first(await answer.next_async())
        except BaseException:
            answer.close()
            raise

    def _ask(self, context: CallContext, name: str, args: Tuple[Any, ...], kwargs: Dict[str, Any], options: Dict[str, Any]) -> Ask:
        if context.ended:
            raise RuntimeError("the call of %r has ended: its host tools can be called while it runs" % context.tool)
        context.check()
        sent: Dict[str, Any] = {"timeout": _least(options.get("timeout"), context.remaining)}
        trace = tracing.inject()
        if trace is not None:
            sent["trace"] = trace
            OWN.remember(kwargs, options.get("binary_parameters"))
        if options.get("binary_parameters"):
            sent["binary"] = options["binary_parameters"]
        try:
            ask = shielded(self._link.ask, context.call_id, name, {"args": list(args), "kwargs": kwargs}, sent)
        except TooLarge as error:
            raise HostToolError(name, "%s: %s" % (error, error.hint), code=CODE) from None
        except Unserialisable as error:
            raise TypeError("host tool %r: %s, which cannot travel: %s" % (name, _what(error), error.reason)) from None
        if context.ended:  # in a thread that outlived the call: nobody else would end it
            shielded(self._link.give_up, ask, "the tool that asked has ended")
        return ask  # type: ignore[no-any-return]


class HostItems(Iterator[Any]):
    """What comes for one call of a host tool. An iterator of what it yields, if it does.

    Attributes:
        CURE: what to do with it where it cannot go.
    """

    CURE = "list() it, or `yield from` it"

    def __init__(self, link: Link, context: CallContext, name: str, ask: Ask, timeout: Optional[float]) -> None:
        self._link = link
        self._context = context
        self._name = name
        self._ask = ask
        self._until = None if timeout is None else time.monotonic() + timeout
        self._timeout = timeout
        self._items: List[Any] = []
        self._ended = False

    def first(self, event: Any) -> Any:
        """What the caller gets for the first event: a result, or itself as an iterator."""
        if isinstance(event, Result) and not event.metadata.get("streamed"):
            return event.value
        self._took(event)
        return self

    def next(self) -> Any:
        """The next event, blocking."""
        while not self._ask.events:
            self._check()
            self._ask.wait(self._left())
        return self._event()

    def __next__(self) -> Any:
        while not self._items:
            if self._ended:
                raise StopIteration
            try:
                self._took(self.next())
            except BaseException:
                self.close()
                raise
        return self._items.pop()

    def close(self) -> None:
        """Leave early: the host tool is cancelled. Harmless at the end."""
        self._items = []
        if not self._ended:
            self._ended = True
            shielded(self._link.give_up, self._ask, "the tool left")

    def __repr__(self) -> str:
        return "an iterator of host tool %r" % self._name

    def __del__(self) -> None:
        if not self._ended:
            self._ended = True
            self._link.drop(self._ask)

    def _event(self) -> Any:
        event = self._ask.events.popleft()
        if not isinstance(event, Chunks):
            self._ended = True
        if isinstance(event, Failure):
            raise _error(self._name, event.info)
        if tracing.imported() is not None:
            OWN.remember(event.payloads if isinstance(event, Chunks) else event.value)
        return event

    def _took(self, event: Any) -> None:
        if isinstance(event, Chunks):
            self._items = event.payloads[::-1]
            shielded(self._link.grant, self._ask, len(event.payloads), event.nbytes)

    def _check(self) -> None:
        """Raise if nothing will come, or came too late."""
        if self._ask.cancelled:
            self._context.leave()
        if self._until is not None and time.monotonic() >= self._until:
            raise HostToolTimeout(self._name, "it gave no answer within %g s" % (self._timeout or 0.0), code="host_tool_timeout")

    def _left(self) -> Optional[float]:
        return None if self._until is None else max(0.0, self._until - time.monotonic())


class AsyncHostItems(HostItems, AsyncIterator[Any]):
    """The same, awaited."""

    CURE = "collect it with [item async for item in ...], or yield its items"

    def __init__(self, link: Link, context: CallContext, name: str, ask: Ask, timeout: Optional[float]) -> None:
        super().__init__(link, context, name, ask, timeout)
        import asyncio

        self._loop = asyncio.get_event_loop()
        self._woken: Optional[asyncio.Future[None]] = None
        self._read = False  # somebody waits for the next item
        ask.on_news = functools.partial(_tell, weakref.ref(self))  # the open ask must not keep an iterator that was dropped
        self._wake()  # it may have come before

    async def next_async(self) -> Any:
        """The next event."""
        import asyncio

        while not self._ask.events:
            self._check()
            self._woken = self._loop.create_future()
            if not self._ask.events and not self._ask.cancelled:
                await asyncio.wait([self._woken], timeout=self._left())
        return self._event()

    async def __anext__(self) -> Any:
        if self._read:  # the two would wake each other's future, and one would sleep for ever
            raise RuntimeError("host tool %r: another task is waiting for its next item; only one may read" % self._name)
        while not self._items:
            if self._ended:
                raise StopAsyncIteration
            self._read = True
            try:
                self._took(await self.next_async())
            except BaseException:
                self.close()
                raise
            finally:
                self._read = False
        return self._items.pop()

    async def aclose(self) -> None:
        """Leave early."""
        self.close()

    def _on_news(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            pass  # the loop, one of the tool's own, has been closed

    def _wake(self) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)


def _tell(answer: "weakref.ReferenceType[AsyncHostItems]") -> None:
    alive = answer()
    if alive is not None:
        alive._on_news()


def _what(error: Unserialisable) -> str:
    """Which argument, by the path to it in the frame."""
    where = error.path.replace("[3]['args']", "argument ").replace("[3]['kwargs']", "")
    return "%s is a %s" % (where, error.type_name) if where else "something in its arguments"


def _error(name: str, info: Dict[str, Any]) -> HostToolError:
    texts = {key: str(info.get(key) or "") for key in ("code", "type", "traceback")}
    return HostToolError(name, str(info.get("message", "")), **texts)


def _least(one: Optional[float], other: Optional[float]) -> Optional[float]:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
