"""`Pool`: the pool for everybody else. The same as `AsyncPool` without `await`, over one loop thread per process."""

from __future__ import annotations

import functools
import os
import queue
import threading
import weakref
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, cast

from snakepit._pool.call import Call, Ended, Failed, Item, ProgressNews
from snakepit._pool.draining import Drained
from snakepit._pool.engine import Engine
from snakepit._pool.failures import closed
from snakepit._pool.setup import PoolSetup
from snakepit._pool.tools import ToolSpec
from snakepit._sessions.records import SessionInfo, check_session_id
from snakepit._workers.adapter_reference import ensure_not_importing
from snakepit.config import Adapter, PoolSettings

from . import open_pools
from .arguments import POOL_DEFAULT, call_timeout, check_callback
from .base import PoolBase
from .closing import OneClose, close_on
from .executor import Executes
from .future import CallFuture
from .loop_thread import LoopThread
from .map_results import Maps
from .options import Affinity, CallOptions, SessionHandle, id_in, prepare
from .session import Session
from .stream import Stream
from .tools import Tools

T = TypeVar("T")


class Pool(Maps, Executes, PoolBase):
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
        self._lock = threading.RLock()  # a signal handler may close the pool that it interrupts
        self._one_close = OneClose(self._config.close_timeout)
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
        LoopThread.ensure_elsewhere()
        with self._lock:
            self._usable()  # closed, perhaps, while another thread had the lock
            if self._engine is None:
                ensure_not_importing()
                open_pools.enter(self)
                setup = PoolSetup(self._adapter, self._launcher())
                loop = LoopThread.acquire()
                try:
                    self._start(loop, setup)
                except BaseException:
                    loop.release()
                    raise
        if self._closed:  # by a signal handler that has interrupted the lines above, before there was something to close
            self._close(finish_unary=False)
            raise closed()

    def _start(self, loop: LoopThread, setup: PoolSetup) -> None:
        engine = loop.run(Engine.made(self._config, setup, self._offers))
        engine.events.change(self._wanted)
        self._beginning = loop, engine
        try:
            self._usable()  # after the line above, as `_close` does it the other way round: one of them sees the other
            loop.run(engine.start())
        except BaseException:  # Ctrl-C too, and a second one: what has been started must end before the loop does
            close_on(loop, engine)
            raise
        finally:
            self._beginning = None
        self._finalizer = weakref.finalize(self, _close_dropped, loop, engine, os.getpid())
        loop.add_finalizer(self._finalizer)
        self._loop, self._engine = loop, engine  # last: what there is to close is there, or nothing

    def close(self) -> None:
        """Cancel what runs, end the workers, remove everything the pool made. Bounded by `close_timeout`. Twice is fine.

        In a signal handler too; if that has interrupted `start`, or the first call, the pool is closed by that, which raises `PoolClosed`.
        """
        self._close(finish_unary=False)

    def drain(self, timeout: float | None = 30.0) -> Drained:
        """Take no new calls, let those that run or wait end, and cut off what has not ended in time. `close` is quick then.

        New calls raise `PoolDraining`, which is a `PoolClosed`; those that host tools make for running calls are still taken.
        A pool that has not started, or is starting, is closed.

        Args:
            timeout: seconds; None: as long as the calls take.

        Returns:
            whether every call ended by itself, and how many were cut off. Their callers get `PoolDraining`.
        """
        seconds = call_timeout("timeout", timeout)
        if self._pid == os.getpid() and self._closed:
            return Drained()
        self._usable()
        LoopThread.ensure_elsewhere()
        engine, loop = self._engine, self._loop
        if engine is None or loop is None:
            self.close()
            return Drained()
        holder = LoopThread.acquire()  # a close by another thread meanwhile must not end the loop under this one
        try:
            return loop.run(engine.draining.run(seconds)) if holder is loop else Drained()
        finally:
            holder.release()

    def _close(self, *, finish_unary: bool) -> None:
        if self._pid != os.getpid():
            return  # a forked child leaves a `with` block: the workers are its parent's
        if self._loop is not None:
            LoopThread.ensure_elsewhere()
        self._closed = True
        beginning = self._beginning
        if beginning is not None:
            beginning[0].post(beginning[1].give_up_start)
        with self._lock:
            loop, engine, finalizer = self._loop, self._engine, self._finalizer
            if loop is not None and not self._one_close.begin():
                loop = None
            if loop is not None:
                self._loop = self._finalizer = None
        if loop is None or engine is None or finalizer is None:
            if engine is not None:
                self._one_close.wait(engine)
            return
        finalizer.detach()
        try:
            self._one_close.run(loop, engine, finish_unary=finish_unary)
        finally:
            loop.release()
            open_pools.leave(self)

    def _close_from_elsewhere(self, seconds: float) -> None:
        self._close(finish_unary=False)

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
        on_metadata: Callable[[dict[str, Any]], Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Run a tool and give its result.

        Args:
            tool: its name.
            args: its arguments by name.
            timeout: seconds until the call ends at the latest, counted from now; None: no deadline.
            on_progress: called, in this thread, with the newest report whenever the tool has said `self.progress(...)`.
            on_metadata: called once, before this returns, with facts about the run: `execution_time_ms`, `worker_id`, for a session
                `session_id`, and `session_moved` if it had to leave its worker.
            **options: session_id, affinity, binary_parameters, retry; see `CallOptions`.

        Raises:
            UnknownTool, InvalidParameter, InvalidBinaryParameter, WrongCallStyle: before anything is sent.
            SessionLost, WorkerBusy: by a session with a strict affinity.
            ToolError: the tool raised.
            WorkerTimeout: the deadline has passed.
            WorkerCrashed: its worker died.
        """
        check_callback("on_progress", on_progress)
        check_callback("on_metadata", on_metadata)
        seconds = call_timeout("timeout", timeout)
        engine, loop = self._ready()
        self._check_session(options)
        mailbox: queue.SimpleQueue[Item] = queue.SimpleQueue()
        sent, extra = prepare(engine.tools, self._config, tool, args, options, streaming=False)
        call = engine.new_call(tool, sent, mailbox, streaming=False, timeout=seconds, **extra)
        try:
            _submit(loop, engine, call)
            while True:
                item = mailbox.get()
                if isinstance(item, Ended):
                    if on_metadata is not None:
                        on_metadata(item.metadata)
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
        **options: Unpack[CallOptions],
    ) -> Stream:
        """Run a tool and read its chunks while it works.

        Args:
            tool: its name.
            args: its arguments by name.
            timeout: seconds until the call ends at the latest (300 unless `stream_timeout` says otherwise); None: no deadline.
            chunk_timeout: seconds that may pass between chunks; time spent waiting for the reader does not count.
            **options: session_id, affinity, binary_parameters, retry; see `CallOptions`.

        Raises:
            UnknownTool, InvalidParameter: before anything is sent. What happens later is raised while reading.
        """
        seconds = call_timeout("timeout", self._config.stream_timeout if timeout is POOL_DEFAULT else timeout)
        gap = call_timeout("chunk_timeout", chunk_timeout)
        engine, loop = self._ready()
        self._check_session(options)
        mailbox: queue.SimpleQueue[Item] = queue.SimpleQueue()
        sent, extra = prepare(engine.tools, self._config, tool, args, options, streaming=True)
        call = engine.new_call(tool, sent, mailbox, streaming=True, timeout=seconds, **extra)
        stream = Stream(engine, call, mailbox, loop, gap)
        _submit(loop, engine, call)  # after the line above: should Ctrl-C come in between, dropping the stream cancels the call
        return stream

    def submit(
        self, tool: str, args: Mapping[str, Any] | None = None, *, timeout: float | None = None, **options: Unpack[CallOptions]
    ) -> CallFuture:
        """Run a tool in the background; its future can be cancelled also while the call runs.

        Args:
            tool: its name.
            args: its arguments by name.
            timeout: seconds until the call ends at the latest, counted from now, time in the queue included; None, the default:
                no deadline, because work that is submitted in bulk waits its turn.
            **options: session_id, affinity, binary_parameters, retry; see `CallOptions`.
        """
        seconds = call_timeout("timeout", timeout)
        engine, loop = self._ready(waits=False)
        self._check_session(options)
        future = CallFuture()
        sent, extra = prepare(engine.tools, self._config, tool, args, options, streaming=False)
        call = engine.new_call(tool, sent, future, streaming=False, timeout=seconds, waited=False, **extra)
        future.call, future.check_process = call, engine.check_process
        if call.ancestors:
            future.report_waits(call, functools.partial(engine.waited_for, call))
        future.on_cancel = lambda: engine.cancel_from_anywhere(call, "its future was cancelled")
        _submit(loop, engine, call)
        return future

    def session(
        self,
        id: str | None = None,  # noqa: A002 - the word for it
        ttl: float | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        affinity: Affinity | None = None,
    ) -> Session:
        """A session: calls that stick to one worker, whose tools keep state between them.

        Args:
            id: its id; None: a new one.
            ttl: seconds it lives without a call; None: the pool's `session_ttl`, 3600 unless set otherwise. For a session that is
                there already it is the ttl from now on; None leaves it as it is.
            metadata: facts that tools see as `self.session.metadata`; plain values by name, merged into those that are there.
            affinity: how its calls stick to the worker: `hint`, `strict_queue` or `strict_fail_fast`; None: as the pool is set.
        """
        return Session(self, id, ttl, metadata, affinity)

    def sessions(self) -> tuple[SessionInfo, ...]:
        """All sessions in the pool's store, frozen."""
        return self._in_sessions("all")  # type: ignore[no-any-return]

    def session_info(self, session_id: str) -> SessionInfo | None:
        """One session as it is now, frozen; None if there is none of that id."""
        return self._in_sessions("info", check_session_id(session_id))  # type: ignore[no-any-return]

    def end_session(self, session_id: str) -> bool:
        """End a session: its open calls are cancelled, its state leaves its workers within 1 s. False if there was none."""
        return self._in_sessions("end", check_session_id(session_id))  # type: ignore[no-any-return]

    def rebind_session(self, session_id: str) -> bool:
        """After `SessionLost`, or when `restore` failed: let a session go on, with an empty state, on any worker.

        False if its state is there, or this pool knows no session of that id: then nothing changes.
        """
        return self._in_sessions("rebind", check_session_id(session_id))  # type: ignore[no-any-return]

    def dump_stacks(self) -> dict[str, str]:
        """Where the threads of each worker are now, as `faulthandler` writes it, innermost frame first; within a tenth of a second.

        A handler in C answers, also in a worker whose tool holds the interpreter. Empty for a worker that was stopped, that a
        `command` started, or whose tools have taken SIGUSR1 for themselves.

        Returns:
            worker id -> text.
        """
        engine, loop = self._ready()
        return loop.run(engine.views.stacks())

    def end_quarantine(self) -> int:
        """What kept workers from starting is mended: try again at once, with as much patience as at first.

        Returns:
            how many slots were quarantined (`stats().quarantined`).
        """
        engine, loop = self._ready()
        return loop.run(engine.end_quarantine())

    @property
    def tools(self) -> Any:
        """Discovered tools as functions: `pool.tools.add(2, b=3)`."""
        return Tools(self)

    def bind(self, adapter: type[T]) -> T:
        """The pool's tools, typed as the adapter class for the editor: calling a method runs it in a worker."""
        return cast("T", self.tools)

    def tool_specs(self) -> tuple[ToolSpec, ...]:
        """What the workers offer, frozen. Starts the pool if need be."""
        return tuple(spec.picture() for spec in self._started_specs())

    def _started_specs(self) -> tuple[ToolSpec, ...]:
        self._ready()
        return self._specs()

    def _check_session(self, options: CallOptions) -> None:
        """A `Session` that a call is given must be this pool's. The call opens it, under its own deadline."""
        session = options.get("session_id")
        if isinstance(session, SessionHandle):
            id_in(self, session)

    def _in_sessions(self, method: str, *args: Any) -> Any:
        """Ask the keeper of sessions, on its loop."""
        engine, loop = self._ready()
        return loop.run(getattr(engine.sessions, method)(*args))

    def _ready(self, *, waits: bool = True) -> tuple[Engine, LoopThread]:  # waits: for what comes on the loop's thread
        engine, loop = self._engine, self._loop
        if waits or engine is None:
            LoopThread.ensure_elsewhere()
        elif self._closed:
            self._usable()  # says so
        if engine is None or loop is None or self._closed:
            self.start()
            engine, loop = self._engine, self._loop
            if engine is None or loop is None:
                raise closed()  # in this very moment
        else:
            self._usable()
        return engine, loop


def _submit(loop: LoopThread, engine: Engine, call: Call) -> None:
    if not loop.post(engine.submit, call):
        refusal = closed()  # by another thread, in this very moment
        call.finish(Failed(refusal))
        raise refusal


def _close_dropped(loop: LoopThread, engine: Engine, pid: int) -> None:
    """A pool was dropped, or the interpreter ends, without `close`. In a forked child it is not ours to close."""
    if os.getpid() == pid:
        loop.close_later(engine.close())
