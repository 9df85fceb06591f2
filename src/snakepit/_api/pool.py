"""`Pool`: the pool for everybody else. The same as `AsyncPool` without `await`, over one loop thread per process."""

from __future__ import annotations

import os
import queue
import threading
import weakref
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, cast

from snakepit._pool.call import Call, Ended, Failed, Item, ProgressNews
from snakepit._pool.engine import Engine
from snakepit._pool.failures import closed
from snakepit._pool.setup import PoolSetup
from snakepit._pool.tools import ToolSpec
from snakepit._workers.adapter_reference import ensure_not_importing
from snakepit.config import Adapter, PoolConfig, PoolSettings
from snakepit.errors import PoolError

from .arguments import POOL_DEFAULT, call_timeout, check_callback, checked_args
from .base import PoolBase
from .future import CallFuture
from .loop_thread import LoopThread
from .stream import Stream
from .tools import Tools

T = TypeVar("T")


class Pool(PoolBase):
    """A pool of supervised worker processes.

        with Pool("my_app.tools:MyAdapter", size=2) as pool:
            pool.execute("add", {"a": 2, "b": 3})
            for chunk in pool.stream("train", {"epochs": 5}):
                print(chunk["epoch"], chunk["is_final"])

    Safe to use from several threads. Works in a notebook, also without `with`: it closes when the interpreter ends.

    Args:
        adapter: the tools: `"package.module:Class"`, a module, a file, a class, a list of functions; None: the showcase.
        **settings: see `PoolSettings`.

    Raises:
        ConfigurationError: a setting is wrong.
    """

    def __init__(self, adapter: Adapter = None, **settings: Unpack[PoolSettings]) -> None:
        super().__init__(adapter, dict(settings))
        self._lock = threading.Lock()
        self._loop: LoopThread | None = None
        self._finalizer: weakref.finalize[..., Pool] | None = None
        self._beginning: tuple[LoopThread, Engine] | None = None  # while a thread holds the lock to start it

    def start(self) -> None:
        """Start the workers; returns when the first is ready. `with` and the first call do it too.

        Raises:
            AdapterError: the adapter does not import or has no tools.
            PoolStartFailed: no worker became ready in time.
        """
        self._usable()
        with self._lock:
            self._usable()  # closed, perhaps, while another thread had the lock
            if self._engine is None:
                ensure_not_importing()
                self._start()

    def _start(self) -> None:
        setup = PoolSetup(self._adapter)
        loop = LoopThread.acquire()
        engine = loop.run(_made(self._config, setup))
        self._beginning = loop, engine
        try:
            self._usable()  # after the line above, as `_close` does it the other way round: one of them sees the other
            loop.run(engine.start())
        except BaseException:  # Ctrl-C too: what has been started must end before the loop does
            loop.run(engine.close())
            loop.release()
            raise
        finally:
            self._beginning = None
        self._loop, self._engine = loop, engine
        self._finalizer = weakref.finalize(self, _close_dropped, loop, engine, os.getpid())
        loop.add_finalizer(self._finalizer)

    def close(self) -> None:
        """Cancel what runs, end the workers, remove everything the pool made. Bounded by `close_timeout`. Twice is fine."""
        self._close(finish_unary=False)

    def _close(self, *, finish_unary: bool) -> None:
        if self._pid != os.getpid():
            return  # a forked child leaves a `with` block: the workers are its parent's
        if self._loop is not None:
            self._not_on_loop(self._loop)
        self._closed = True
        beginning = self._beginning
        if beginning is not None:
            beginning[0].post(beginning[1].give_up_start)
        with self._lock:
            loop, engine, finalizer = self._loop, self._engine, self._finalizer
            self._loop = self._finalizer = None
        if loop is None or engine is None or finalizer is None:
            return
        finalizer.detach()
        try:
            _close_on(loop, engine, finish_unary=finish_unary)
        finally:
            loop.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None) -> None:
        self._close(finish_unary=kind is None)

    def execute(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = 30.0,
        on_progress: Callable[[dict[str, Any]], Any] | None = None,
    ) -> Any:
        """Run a tool and give its result.

        Args:
            tool: its name.
            args: its arguments by name.
            timeout: seconds until the call ends at the latest, counted from now; None: no deadline.
            on_progress: called, in this thread, with the newest report whenever the tool has said `self.progress(...)`.

        Raises:
            UnknownTool, InvalidParameter, WrongCallStyle: before anything is sent.
            ToolError: the tool raised.
            WorkerTimeout: the deadline has passed.
            WorkerCrashed: its worker died.
        """
        check_callback("on_progress", on_progress)
        seconds = call_timeout("timeout", timeout)
        engine, loop = self._ready()
        mailbox: queue.SimpleQueue[Item] = queue.SimpleQueue()
        call = engine.new_call(tool, checked_args(engine.tools, tool, args, streaming=False), mailbox, streaming=False, timeout=seconds)
        try:
            _submit(loop, engine, call)
            while True:
                item = mailbox.get()
                if isinstance(item, Ended):
                    return item.value
                if isinstance(item, Failed):
                    raise item.error
                report = call.take_progress() if isinstance(item, ProgressNews) else None
                if report is not None and on_progress is not None:
                    on_progress(report)
        except BaseException:  # Ctrl-C, or on_progress raised: without this the call would run on
            engine.cancel_from_anywhere(call, "its caller left")
            raise

    def stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = POOL_DEFAULT,
        chunk_timeout: float | None = None,
    ) -> Stream:
        """Run a tool and read its chunks while it works.

        Args:
            tool: its name.
            args: its arguments by name.
            timeout: seconds until the call ends at the latest (300 unless `stream_timeout` says otherwise); None: no deadline.
            chunk_timeout: seconds that may pass between chunks; time spent waiting for the reader does not count.

        Raises:
            UnknownTool, InvalidParameter: before anything is sent. What happens later is raised while reading.
        """
        seconds = call_timeout("timeout", self._config.stream_timeout if timeout is POOL_DEFAULT else timeout)
        gap = call_timeout("chunk_timeout", chunk_timeout)
        engine, loop = self._ready()
        mailbox: queue.SimpleQueue[Item] = queue.SimpleQueue()
        call = engine.new_call(tool, checked_args(engine.tools, tool, args, streaming=True), mailbox, streaming=True, timeout=seconds)
        stream = Stream(engine, call, mailbox, loop, gap)
        _submit(loop, engine, call)  # after the line above: should Ctrl-C come in between, dropping the stream cancels the call
        return stream

    def submit(self, tool: str, args: Mapping[str, Any] | None = None, *, timeout: float | None = None) -> CallFuture:
        """Run a tool in the background; its future can be cancelled also while the call runs.

        Args:
            tool: its name.
            args: its arguments by name.
            timeout: seconds until the call ends at the latest, counted from now, time in the queue included; None, the default:
                no deadline, because work that is submitted in bulk waits its turn.
        """
        seconds = call_timeout("timeout", timeout)
        engine, loop = self._ready()
        future = CallFuture()
        call = engine.new_call(tool, checked_args(engine.tools, tool, args, streaming=False), future, streaming=False, timeout=seconds)
        future.call, future.check_process = call, engine.check_process
        future.on_cancel = lambda: engine.cancel_from_anywhere(call, "its future was cancelled")
        _submit(loop, engine, call)
        return future

    @property
    def tools(self) -> Any:
        """Discovered tools as functions: `pool.tools.add(2, b=3)`."""
        return Tools(self)

    def bind(self, adapter: type[T]) -> T:
        """The pool's tools, typed as the adapter class for the editor: calling a method runs it in a worker."""
        return cast("T", self.tools)

    def tool_specs(self) -> tuple[ToolSpec, ...]:
        """What the workers offer, frozen. Starts the pool if need be."""
        self._ready()
        return self._specs()

    def _ready(self) -> tuple[Engine, LoopThread]:
        engine, loop = self._engine, self._loop
        if engine is None or loop is None or self._closed:
            self.start()
            engine, loop = self._engine, self._loop
            assert engine is not None
            assert loop is not None
        else:
            self._usable()
        self._not_on_loop(loop)
        return engine, loop

    def _not_on_loop(self, loop: LoopThread) -> None:
        if loop.is_current:
            raise PoolError(
                "a blocking call was made on the pool's own loop thread, where its answer could never arrive",
                code="would_deadlock",
                hint="callbacks of futures run there: hand the work to another thread, or use AsyncPool",
            )


async def _made(config: PoolConfig, setup: PoolSetup) -> Engine:
    return Engine(config, setup)  # on the loop it will live on


def _submit(loop: LoopThread, engine: Engine, call: Call) -> None:
    if not loop.post(engine.submit, call):
        raise closed()  # by another thread, in this very moment


def _close_on(loop: LoopThread, engine: Engine, *, finish_unary: bool) -> None:
    """Close an engine. Each Ctrl-C on the way makes it less patient: with calls that run, then with workers that clean up."""
    try:
        loop.run(engine.close(finish_unary=finish_unary))
    except BaseException:
        try:
            loop.run(engine.close())
        except BaseException:
            loop.run(engine.close(kill=True))
            raise
        raise


def _close_dropped(loop: LoopThread, engine: Engine, pid: int) -> None:
    """A pool was dropped, or the interpreter ends, without `close`. In a forked child it is not ours to close."""
    if os.getpid() == pid:
        loop.close_later(engine.close())
