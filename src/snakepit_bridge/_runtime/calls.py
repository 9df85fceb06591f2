"""Runs one call, on the main thread or one of several: finds the tool's function, gives it its arguments, reports how it ended.

Every call ends in exactly one result or error frame, whatever the tool does: return, raise, `sys.exit()`, fork.
"""

import contextlib
import functools
import inspect
import os
import sys
import time
import traceback
from types import TracebackType
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple, Type

from .. import call_context
from .._without_asyncio import is_task_cancelled, leave_loop
from ..binary_parameters import received
from ..call_context import Cancelled
from ..wire.payload import TooLarge
from ..wire.plain import Unserialisable
from . import failures, logs
from .cancel import Knocker, async_border, border
from .conversion import InvalidArgument
from .host_calls import HostItems
from .instances import Instances, call_hook
from .link import Link
from .loading import LoadedAdapter
from .main_loop import AsyncioLoop, QueueLoop
from .own_secrets import OWN
from .running import RunningCall
from .sessions import HookFailed, Sessions
from .streams import ChunkUnserialisable, stream, stream_async
from .tool_threads import Job, ToolThreads
from .unpickling import RefusedPickle, has_pickles, unpickled


class WrongStyle(Exception):
    """A tool that streams was asked for one result."""


class CallRunner:
    """Runs calls of one adapter: sync tools one `run` at a time, or on several threads.

    Args:
        adapter: the loaded adapter; `instances`: its objects, when they live as long as the worker.
        main: what the main thread does between calls.
        threads: where sync tools run; None: on the main thread.
    """

    def __init__(
        self,
        adapter: LoadedAdapter,
        link: Link,
        main: "QueueLoop | AsyncioLoop",
        interrupter: Knocker,
        instances: Instances,
        sessions: Sessions,
        threads: Optional[ToolThreads] = None,
    ) -> None:
        self._adapter = adapter
        self._link = link
        self._main = main
        self._interrupter = interrupter
        self._instances = instances
        self._sessions = sessions
        self._threads = threads
        self._pid = os.getpid()

    def needs_loop(self, call: RunningCall) -> bool:
        """Does a task of the main thread's loop run it? Its tool is async, or something around it may be."""
        tool = self._adapter.tool(call.tool)
        if tool is None or not isinstance(self._main, AsyncioLoop):
            return False
        return tool.call_kind in ("coroutine", "async_generator") or self._has_hooks(call)

    def run(self, call: RunningCall) -> None:
        """Run a call to its end here, or start the task that does."""
        tool = self._adapter.tool(call.tool)
        if tool is None:
            known = ", ".join(sorted(self._adapter.tools))
            self._link.error(call.call_id, failures.plain_failure("unknown_tool", "this worker has no tool %r: %s" % (call.tool, known)))
            call.ended = True
            return
        if call.on_loop is None:
            call.on_loop = self.needs_loop(call)
        if call.on_loop:
            call.task = self._main.spawn(self._run_async(call, tool.spec))
        elif isinstance(self._main, AsyncioLoop):
            with _no_running_loop():
                self._run_sync(call, tool.spec)
        else:
            self._run_sync(call, tool.spec)
            if call.leaving:  # it may have been left where a loop of the tool's own had just begun
                leave_loop()

    def _has_hooks(self, call: RunningCall) -> bool:
        """Does something of the adapter run around the call, which may be `async def`?"""
        return not self._instances.lifelong or (call.session is not None and self._sessions.needs_hooks(call.session))

    def _run_sync(self, call: RunningCall, spec: Dict[str, Any]) -> None:
        with _Report(self, call, self._link):
            lifelong = self._instances.lifelong
            instances = self._instances.objects if lifelong else border(call, self._adapter.instantiate)
            try:
                if not lifelong:
                    _give_session(call, instances)
                    _complete_all(call, instances, "initialize")
                self._begin_session(call)
                value, metadata = self._run_tool(call, spec, instances)
            finally:
                self._sessions.snapshots.keep(call, self._link.check_snapshot)
                if not lifelong:
                    _complete_all(call, instances, "cleanup")
            self._end(call, value, metadata)

    async def _run_async(self, call: RunningCall, spec: Dict[str, Any]) -> None:
        with _Report(self, call, self._link):
            call.check()  # cancelled before this task began
            lifelong = self._instances.lifelong
            instances = self._instances.objects if lifelong else border(call, self._adapter.instantiate)
            try:
                if not lifelong:
                    _give_session(call, instances)
                    await _await_all(call, instances, "initialize")
                if call.session is not None:
                    call.check()
                    await self._sessions.begin_async(call, call.session)
                if spec["asynchronous"]:
                    value, metadata = await self._run_async_tool(call, spec, instances)
                elif self._threads is None:
                    with _no_running_loop():
                        value, metadata = self._run_tool(call, spec, instances)
                else:
                    run = functools.partial(self._run_tool, call, spec, instances)
                    value, metadata = (await self._on_thread(call, self._threads, run)).result()
            finally:
                await self._sessions.snapshots.keep_async(call, self._link.check_snapshot)
                if not lifelong:
                    await _await_all(call, instances, "cleanup")
            self._end(call, value, metadata)

    @staticmethod
    async def _on_thread(call: RunningCall, threads: ToolThreads, run: Callable[[], Any]) -> Job:
        """A sync tool between hooks that may be async."""
        call.on_thread = True
        try:
            return await threads.run(run)
        finally:
            call.on_thread = False

    def _run_tool(self, call: RunningCall, spec: Dict[str, Any], instances: Any) -> Tuple[Any, Dict[str, Any]]:
        return self._send_stream(call, spec, self._call_tool(call, spec, instances))

    def _begin_session(self, call: RunningCall) -> None:
        if call.session is not None:
            call.check()
            self._sessions.begin(call, call.session)

    async def _run_async_tool(self, call: RunningCall, spec: Dict[str, Any], instances: Any) -> Tuple[Any, Dict[str, Any]]:
        value = self._call_tool(call, spec, instances)
        if inspect.isawaitable(value):
            value = await async_border(call, value)
        if inspect.isasyncgen(value):
            self._check_style(call)
            return await stream_async(call, value, self._link, self._main.post)
        return self._send_stream(call, spec, value)

    def _call_tool(self, call: RunningCall, spec: Dict[str, Any], instances: Any) -> Any:
        call.check()
        function = self._adapter.bound(call.tool, instances)
        tool = self._adapter.tool(call.tool)
        conversion = None if tool is None else tool.conversion
        given = call.args
        if has_pickles(given):
            given = border(call, unpickled, spec, given, call.pickles)
        if conversion is not None:
            given = border(call, conversion, given)
        if call.binary:
            given = {**given, **received(call.binary, function)}
        args, kwargs = arguments_for(spec, given)
        call.ran = True
        return border(call, function, *args, **kwargs)

    def _send_stream(self, call: RunningCall, spec: Dict[str, Any], value: Any) -> Tuple[Any, Dict[str, Any]]:
        if inspect.isgenerator(value) or (spec["streaming"] and hasattr(value, "__next__")):
            self._check_style(call, value)
            return stream(call, value, self._link)
        if inspect.iscoroutine(value) or inspect.isasyncgen(value):
            getattr(value, "close", lambda: None)()
            cure = "`await` it first" if spec["asynchronous"] else "write it as `async def`, so that it runs on the worker's loop"
            raise TypeError("the tool returned a %s: %s" % (type(value).__name__, cure))
        if isinstance(value, HostItems):
            value.close()
            raise TypeError("the tool returned %r: %s" % (value, value.CURE))
        return value, {}

    def _check_style(self, call: RunningCall, value: Any = None) -> None:
        if not call.streaming:
            if value is not None:
                value.close()
            raise WrongStyle("tool %r returns a generator" % call.tool)

    def _end(self, call: RunningCall, value: Any, metadata: Dict[str, Any]) -> None:
        metadata["execution_time_ms"] = (time.perf_counter() - call.began) * 1e3
        if metadata.get("streamed"):
            metadata["chunks"] = self._link.chunks_sent(call.call_id)
        if call.span is not None:
            call.span.note(chunks=metadata.get("chunks"))
            OWN.remember_random(value)
            call.span.describe(call.secrets, result=value)
        metadata.update(call.facts)
        logs.call_ended(call, "result", value)
        self.tell_end(call, metadata, functools.partial(self._link.result, call.call_id, value, metadata, later=call.together))

    def tell_end(self, call: RunningCall, facts: Dict[str, Any], send: Callable[[], None]) -> None:
        """Send how a call ended. If it was left by `Cancelled`, this worker proves first that it is sound: by a turn of its main loop.

        Where several calls share that loop, or run on threads of their own, it is busy with others: there it is told at once.
        """
        call.tell_rung(facts)
        if call.rung == "exception" and self._threads is None and self._adapter.concurrency == 1:
            self._main.next(functools.partial(self._prove, facts, send))
        else:
            self._finish(facts, send)

    def _prove(self, facts: Dict[str, Any], send: Callable[[], None]) -> None:
        """On the main thread, where no code of a tool is on the stack any more."""
        lost = logs.locks_held_here()
        if lost:
            print("snakepit: a cancelled tool has left %s locked: this worker is to be replaced" % ", ".join(lost), file=sys.stderr)
            self._interrupter.tainted = True
        self._finish(facts, send)

    def _finish(self, facts: Dict[str, Any], send: Callable[[], None]) -> None:
        if self._interrupter.tainted:
            facts["tainted"] = True
        send()

    def call_ended(self, call: RunningCall) -> None:
        """The call's code has left the stack. A forked copy of this worker ends here: only the original serves."""
        if os.getpid() != self._pid:
            _leave_fork(sys.exc_info()[1])
        call.ended = True
        call.context.mark_ended()
        self._interrupter.call_ended(call)
        if self._link.asks:
            self._link.give_up_all(call.call_id)


class _Report:
    """Around one call: makes it the current one, and turns whatever is raised into its error frame."""

    __slots__ = ("_call", "_link", "_runner", "_token")

    def __init__(self, runner: CallRunner, call: RunningCall, link: Link) -> None:
        self._runner = runner
        self._call = call
        self._link = link

    def __enter__(self) -> None:
        self._token = call_context.enter(self._call.context)
        logs.call_received(self._call)
        if self._call.trace is not None:
            self._call.enter_span()
        self._call.entered = True

    def __exit__(self, _kind: Optional[Type[BaseException]], error: Optional[BaseException], _tb: Optional[TracebackType]) -> bool:
        call_context.leave(self._token)
        self._runner.call_ended(self._call)
        if error is not None:
            try:
                info = self._info(error)
            except BaseException as second:  # an error that cannot be described is told all the same: its caller waits
                info = failures.plain_failure("tool_error", "the tool raised what cannot be shown: %s" % type(second).__name__)
            self._end_span(info)
            info.update(self._call.facts)
            logs.call_ended(self._call, info["code"], error)
            self._runner.tell_end(self._call, info, functools.partial(self._link.error, self._call.call_id, info))
        else:
            self._end_span(None)
        return True

    def _end_span(self, failure: Optional[Dict[str, Any]]) -> None:
        """Before its error frame: whoever reads that finds the span ended."""
        span = self._call.span
        if span is not None:
            if failure is not None:
                span.note(chunks=failure["chunk"])
                span.note_failure(failure["code"], failure["type"] or failure["code"], failure["message"])
            span.__exit__(None, None, None)

    def _info(self, error: BaseException) -> Dict[str, Any]:
        call = self._call
        chunk = self._link.chunks_sent(call.call_id) if call.streaming else None
        if (isinstance(error, Cancelled) or is_task_cancelled(error)) and call.context.cancelled:
            return failures.plain_failure("cancelled", "the call was cancelled", chunk)
        cause = error.cause if isinstance(error, ChunkUnserialisable) else error
        if isinstance(cause, TooLarge):
            return failures.too_large(cause, chunk)
        if isinstance(error, ChunkUnserialisable):
            return failures.unserialisable(error.cause, "chunk %d" % (chunk or 0), chunk)
        if isinstance(error, Unserialisable):
            return failures.unserialisable(error, "result")
        if isinstance(error, (InvalidArgument, RefusedPickle)):
            return failures.invalid_argument(str(error), error.facts)
        if isinstance(error, HookFailed):
            return failures.hook_failure(error.__cause__ or error, error.hook)
        if isinstance(error, WrongStyle):
            return failures.plain_failure("tool_streams", str(error))
        return failures.describe(error, chunk)


def _give_session(call: RunningCall, instances: Any) -> None:
    """Adapters written for Snakepit are told which session they serve, before anything else."""
    for instance in instances:
        take = getattr(instance, "set_session_context", None)
        if callable(take):
            border(call, take, call.context.session)


def arguments_for(spec: Dict[str, Any], args: Dict[str, Any]) -> Tuple[List[Any], Dict[str, Any]]:
    """A call's arguments by name, as the positional and keyword arguments its signature takes."""
    kinds = [parameter["kind"] for parameter in spec["parameters"]]
    if "positional_only" not in kinds and "var_positional" not in kinds:
        return [], args
    named = dict(args)
    positional: List[Any] = []
    by_position = True
    for parameter in spec["parameters"]:
        name, kind = parameter["name"], parameter["kind"]
        if kind == "var_positional":
            extra = list(named.pop(name, ()))
            positional += extra if by_position else []
            by_position = False
        elif kind in ("positional_only", "positional_or_keyword") and by_position:
            if name not in named:
                by_position = False  # it keeps its default, and so do those behind it, unless they are given by name
            else:
                positional.append(named.pop(name))
    return positional, named


@contextlib.contextmanager
def _no_running_loop() -> Iterator[None]:
    """A sync tool may run a loop of its own, also where the main thread lives in one."""
    import asyncio

    loop = asyncio._get_running_loop()
    asyncio._set_running_loop(None)  # type: ignore[arg-type,unused-ignore]
    try:
        yield
    finally:
        asyncio._set_running_loop(loop)  # type: ignore[arg-type,unused-ignore]


def _complete_all(call: RunningCall, instances: Any, name: str) -> None:
    for instance in instances:
        border(call, call_hook, instance, name)


async def _await_all(call: RunningCall, instances: Any, name: str) -> None:
    for instance in instances:
        result = border(call, call_hook, instance, name)
        if inspect.isawaitable(result):
            await async_border(call, result)


def _leave_fork(error: Optional[BaseException]) -> None:
    """A tool forked and its child came back out of it: the child must not go on as a second worker."""
    if error is not None and not isinstance(error, SystemExit):
        traceback.print_exception(type(error), error, error.__traceback__)
    for out in (sys.stdout, sys.stderr):
        try:
            out.flush()
        except (OSError, ValueError):
            pass  # a closed or broken output of a process that is ending anyway
    code = error.code if isinstance(error, SystemExit) else (0 if error is None else 1)
    os._exit(code if isinstance(code, int) else (0 if code is None else 1))
