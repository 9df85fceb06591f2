"""One tool by itself: no pool, no process, no thread. Its context, session, progress and host tools are there all the same.

    run = run_tool(Shop, "price", {"article": "tea"}, host_tools={"rate": lambda: 1.1})
    assert run.result == 2.2

Arguments are converted as in a worker, and what the tool gives travels through a codec, so that it is what a caller would get.
"""

import asyncio
import inspect
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Union

from .. import call_context
from .._runtime.calls import _no_running_loop, arguments_for
from .._runtime.conversion import InvalidArgument
from .._runtime.loading import load
from ..call_context import CallContext
from ..session_context import SessionContext
from ..wire.codecs import JsonCodec
from ..wire.plain import Unserialisable
from .host_side import Offered

_CODEC = JsonCodec()


class ToolRun:
    """How a run went.

    Attributes:
        result: what the tool returned, as its caller would get it.
        chunks: what it yielded, the same way.
        progress: its reports, such as `{"progress": 1, "total": 2, "percent": 50.0}`.
        session: the session it ran in; give it to the next run to go on in it.
        context: the tool's `self.context`.
    """

    def __init__(self, context: CallContext, session: SessionContext) -> None:
        self.context = context
        self.session = session
        self.result: Any = None
        self.chunks: List[Any] = []
        self.progress: List[Dict[str, Any]] = []

    def __repr__(self) -> str:
        return "<ToolRun of %r: %d chunks, result %.60r>" % (self.context.tool, len(self.chunks), self.result)


def run_tool(
    adapter: Any,
    tool: str,
    args: Optional[Mapping[str, Any]] = None,
    *,
    session: Union[str, SessionContext, None] = None,
    metadata: Optional[Mapping[str, Any]] = None,
    host_tools: Optional[Mapping[str, Callable[..., Any]]] = None,
    chunks: Optional[int] = None,
    timeout: Optional[float] = None,
) -> ToolRun:
    """Run one tool here and now; async tools in a loop of their own.

    Args:
        adapter: a class, module or function with tools, a list of them, or an object of an adapter class, which stays as it is:
            of a class an object is made, initialized, and cleaned up.
        args: by parameter name.
        session: an id, or what an earlier run had as `session`; None: none.
        metadata: of a session that is given by its id.
        host_tools: functions, also async and generators, that the tool may call, by name.
        chunks: leave a stream after so many, as a caller that breaks off does: the generator is closed.
        timeout: seconds that `self.context.remaining` begins with; the run itself is not ended by it.

    Raises:
        LookupError: the adapter has no such tool.
        ValueError: an argument cannot become what it is annotated with.
        TypeError: what the tool gave cannot travel (a pool would put a marker there; a test had better hear of it); or the arguments
            do not fit.
        Exception: whatever the tool raises.
    """
    play = _Play(adapter, tool, args, session, metadata, host_tools, chunks, timeout)
    return asyncio.run(play.run_async()) if play.needs_loop else play.run()


async def run_tool_async(adapter: Any, tool: str, args: Optional[Mapping[str, Any]] = None, **options: Any) -> ToolRun:
    """`run_tool` for async tests; the same options."""
    allowed = {"session": None, "metadata": None, "host_tools": None, "chunks": None, "timeout": None}
    unknown = sorted(set(options) - set(allowed))
    if unknown:
        raise TypeError("%s is no option; allowed are %s" % (unknown[0], ", ".join(allowed)))
    return await _Play(adapter, tool, args, *{**allowed, **options}.values()).run_async()


class _Play:
    """One run of one tool."""

    def __init__(
        self,
        adapter: Any,
        tool: str,
        args: Optional[Mapping[str, Any]],
        session: Union[str, SessionContext, None],
        metadata: Optional[Mapping[str, Any]],
        host_tools: Optional[Mapping[str, Callable[..., Any]]],
        chunks: Optional[int],
        timeout: Optional[float],
    ) -> None:
        self._loaded, self._given = _loaded(adapter)
        if tool not in self._loaded.tools:
            raise LookupError("there is no tool %r; there are %s" % (tool, ", ".join(sorted(self._loaded.tools))))
        self._tool = self._loaded.tools[tool]
        self._args = dict(args or {})
        self._limit = chunks
        self._new = isinstance(session, str)
        held = SessionContext(session, metadata) if isinstance(session, str) else session or SessionContext()
        context = CallContext(1, tool, "test", timeout)
        context.belong_to(held)
        self._run = ToolRun(context, held)
        context.report_to(self._run.progress.append)
        context.ask_through(Offered(host_tools or {}))
        self.needs_loop = self._loaded.has_async

    def run(self) -> ToolRun:
        instances = [self._given] if self._given is not None else self._loaded.instantiate()
        token = call_context.enter(self._run.context)
        try:
            if self._given is None:
                _all(instances, "initialize")
            try:
                if self._new:
                    _all(instances, "on_session_start", self._run.session)
                self._finish(self._call(instances))
            finally:
                self._run.context.mark_ended()
                if self._given is None:
                    _all(instances, "cleanup")
        finally:
            call_context.leave(token)
        return self._run

    async def run_async(self) -> ToolRun:
        instances = [self._given] if self._given is not None else self._loaded.instantiate()
        token = call_context.enter(self._run.context)
        try:
            if self._given is None:
                await _all_async(instances, "initialize")
            try:
                if self._new:
                    await _all_async(instances, "on_session_start", self._run.session)
                if not self._tool.spec["asynchronous"]:
                    with _no_running_loop():
                        self._finish(self._call(instances))
                else:
                    value = self._call(instances)
                    await self._finish_async(await value if inspect.isawaitable(value) else value)
            finally:
                self._run.context.mark_ended()
                if self._given is None:
                    await _all_async(instances, "cleanup")
        finally:
            call_context.leave(token)
        return self._run

    def _call(self, instances: Sequence[Any]) -> Any:
        conversion = self._tool.conversion
        try:
            given = self._args if conversion is None else conversion(self._args)
        except InvalidArgument as error:
            raise ValueError(str(error)) from None
        args, kwargs = arguments_for(self._tool.spec, given)
        return self._loaded.bound(self._tool.name, instances)(*args, **kwargs)

    def _finish(self, value: Any) -> None:
        if not (inspect.isgenerator(value) or (self._tool.spec["streaming"] and hasattr(value, "__next__"))):
            self._run.result = self._travelled(value, "result")
            return
        try:
            while not self._full:
                try:
                    item = next(value)
                except StopIteration as stop:
                    self._run.result = self._travelled(stop.value, "result")
                    return
                self._took(item)
            self._run.context.mark_cancelled()
        finally:
            getattr(value, "close", lambda: None)()

    async def _finish_async(self, value: Any) -> None:
        if not inspect.isasyncgen(value):
            self._finish(value)
            return
        try:
            if not self._full:
                async for item in value:
                    self._took(item)
                    if self._full:
                        self._run.context.mark_cancelled()
                        break
        finally:
            await value.aclose()

    @property
    def _full(self) -> bool:
        return self._limit is not None and len(self._run.chunks) >= self._limit

    def _took(self, item: Any) -> None:
        payload = item.data if hasattr(item, "is_final") and hasattr(item, "data") else item
        self._run.chunks.append(self._travelled(payload, "chunk %d" % len(self._run.chunks)))

    def _travelled(self, value: Any, what: str) -> Any:
        try:
            return _CODEC.decode(_CODEC.encode_value(value))
        except Unserialisable as error:
            where = "%s of %r%s" % (what, self._tool.name, error.path)
            raise TypeError("%s is a %s, which cannot travel: %s" % (where, error.type_name, error.reason)) from None


def _loaded(adapter: Any) -> Any:
    """The adapter's tools, and the object that was given, if it is one."""
    items = list(adapter) if isinstance(adapter, (list, tuple)) else [adapter]
    if len(items) == 1 and not isinstance(adapter, (str, type)) and not inspect.ismodule(adapter) and not callable(adapter):
        return load([type(adapter)]), adapter
    return load(items), None


def _all(instances: Sequence[Any], name: str, *args: Any) -> None:
    for instance in instances:
        hook = getattr(instance, name, None)
        if callable(hook):
            hook(*args)


async def _all_async(instances: Sequence[Any], name: str, *args: Any) -> None:
    for instance in instances:
        hook = getattr(instance, name, None)
        value = hook(*args) if callable(hook) else None
        if inspect.isawaitable(value):
            await value
