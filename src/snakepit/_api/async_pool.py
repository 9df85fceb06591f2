"""`AsyncPool`: the pool for asyncio programs, and the core that `Pool` wraps."""

from __future__ import annotations

import asyncio
import inspect
import os
import weakref
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, cast

from snakepit._pool.call import Ended, Failed, Item, ProgressNews
from snakepit._pool.draining import Drained
from snakepit._pool.engine import Engine
from snakepit._pool.setup import PoolSetup
from snakepit._pool.tools import ToolSpec
from snakepit._sessions.records import SessionInfo, check_session_id
from snakepit._workers.adapter_reference import ensure_not_importing
from snakepit.config import Adapter, PoolSettings
from snakepit.errors import PoolError

from . import open_pools
from .arguments import POOL_DEFAULT, call_timeout, check_callback
from .async_map_results import AsyncMaps
from .async_session import AsyncSession
from .async_stream import AsyncMailbox, AsyncStream
from .base import PoolBase
from .options import Affinity, CallOptions, SessionHandle, check_option_names, id_in, prepare
from .tools import AsyncTools

T = TypeVar("T")


class AsyncPool(AsyncMaps, PoolBase):
    """A pool of supervised worker processes, for asyncio.

        async with AsyncPool("my_app.tools:MyAdapter", size=2) as pool:
            await pool.execute("add", {"a": 2, "b": 3})
            async for chunk in pool.stream("train", {"epochs": 5}):
                print(chunk["epoch"], chunk["is_final"])

    Args:
        adapter: the tools: `"package.module:Class"`, a module, a file, a class, a list of functions; None: the showcase.
        **settings: see `PoolSettings`.

    Raises:
        ConfigurationError: a setting is wrong.
    """

    def __init__(self, adapter: Adapter = None, **settings: Unpack[PoolSettings]) -> None:
        super().__init__(adapter, dict(settings))
        self._starting: asyncio.Task[None] | None = None
        self._home: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Start the workers; returns when the first is ready. `async with` and the first call do it too.

        Raises:
            AdapterError: the adapter does not import or has no tools.
            PoolStartFailed: no worker became ready in time.
        """
        self._usable()
        if self._starting is None:
            ensure_not_importing()
            open_pools.enter(self)
            self._home = asyncio.get_running_loop()
            self._starting = asyncio.get_running_loop().create_task(self._start(), name="snakepit-start")
            self._starting.add_done_callback(_seen)
        await asyncio.shield(self._starting)

    async def _start(self) -> None:
        try:
            engine = self._engine = await Engine.made(self._config, PoolSetup(self._adapter, self._launcher()), self._offers)
        except BaseException:
            self._starting = None
            raise
        try:
            engine.events.change(self._wanted)
            self._usable()  # closed, perhaps, while the session store was opened
            await engine.start()
        except BaseException:
            await engine.close()
            self._engine = self._starting = None  # the next call may try again
            raise
        weakref.finalize(self, _close_dropped, engine, self._pid).atexit = False

    async def close(self) -> None:
        """Cancel what runs, end the workers, remove everything the pool made. Bounded by `close_timeout`. Twice is fine."""
        await self._close(finish_unary=False)

    async def drain(self, timeout: float | None = 30.0) -> Drained:
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
        engine = self._engine
        if engine is None or not (self._starting is not None and self._starting.done()):
            await self.close()
            return Drained()
        self._on_its_loop(engine)
        await asyncio.sleep(0)  # what has been submitted before this line has not been begun yet
        return await engine.draining.run(seconds)

    async def _close(self, *, finish_unary: bool) -> None:
        if self._pid != os.getpid():
            return  # a forked child leaves a `with` block: the workers are its parent's
        self._closed = True
        engine, starting = self._engine, self._starting
        if engine is not None:
            await engine.close(finish_unary=finish_unary)
        if starting is not None:
            await asyncio.wait([starting])
        open_pools.leave(self)

    def _close_from_elsewhere(self, seconds: float) -> None:
        home = self._home
        if home is not None and home.is_running():
            asyncio.run_coroutine_threadsafe(self.close(), home).result(seconds)

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            if self._starting is not None:  # cancelled, and nobody else would end what has been started
                await self.close()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None) -> None:
        await self._close(finish_unary=kind is None)

    async def execute(
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
            on_progress: called with the newest report whenever the tool has said `self.progress(...)`; may be async.
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
        engine = await self._ready_engine()
        self._given_session(options)
        mailbox: AsyncMailbox[Item] = AsyncMailbox()
        sent, extra = prepare(engine.tools, self._config, tool, args, options, streaming=False)
        call = engine.new_call(tool, sent, mailbox, streaming=False, timeout=seconds, **extra)
        engine.submit(call)
        try:
            while True:
                item = await mailbox.get()
                if isinstance(item, Ended):
                    if on_metadata is not None:
                        answer = on_metadata(item.metadata)
                        if inspect.isawaitable(answer):
                            await answer
                    return item.value
                if isinstance(item, Failed):
                    raise item.error
                report = call.take_progress() if isinstance(item, ProgressNews) else None
                if report is not None and on_progress is not None:
                    answer = on_progress(report)
                    if inspect.isawaitable(answer):
                        await answer
        except BaseException:
            engine.cancel(call, "its caller left")
            raise

    def stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = POOL_DEFAULT,
        chunk_timeout: float | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncStream:
        """Run a tool and read its chunks while it works. The pool must have been started.

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
        engine = self._on_its_loop(self._started_engine())
        session = self._given_session(options)
        if session is not None:
            session._opened_already()
        mailbox: AsyncMailbox[Item] = AsyncMailbox()
        sent, extra = prepare(engine.tools, self._config, tool, args, options, streaming=True)
        call = engine.new_call(tool, sent, mailbox, streaming=True, timeout=seconds, **extra)
        engine.submit(call)
        return AsyncStream(engine, call, mailbox, gap)

    def submit(
        self, tool: str, args: Mapping[str, Any] | None = None, *, timeout: float | None = None, **options: Unpack[CallOptions]
    ) -> asyncio.Future[Any]:
        """Run a tool in the background; a task whose cancellation cancels the call.

        Args:
            tool: its name.
            args: its arguments by name.
            timeout: seconds until the call ends at the latest, counted from now, time in the queue included; None, the default:
                no deadline, because work that is submitted in bulk waits its turn.
            **options: session_id, affinity, binary_parameters, retry; see `CallOptions`.
        """
        self._usable()
        call_timeout("timeout", timeout)
        self._given_session(options)
        check_option_names(options, streaming=False)  # at once: `execute` would take some that are its own
        if self._engine is not None and self._engine.tools:  # else they are checked when the pool has started
            prepare(self._engine.tools, self._config, tool, args, options, streaming=False)
        return asyncio.get_running_loop().create_task(self.execute(tool, args, timeout=timeout, **options), name=f"snakepit-submit-{tool}")

    def session(
        self,
        id: str | None = None,  # noqa: A002 - the word for it
        ttl: float | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        affinity: Affinity | None = None,
    ) -> AsyncSession:
        """A session: calls that stick to one worker, whose tools keep state between them.

        Args:
            id: its id; None: a new one.
            ttl: seconds it lives without a call; None: the pool's `session_ttl`, 3600 unless set otherwise. For a session that is
                there already it is the ttl from now on; None leaves it as it is.
            metadata: facts that tools see as `self.session.metadata`; plain values by name, merged into those that are there.
            affinity: how its calls stick to the worker: `hint`, `strict_queue` or `strict_fail_fast`; None: as the pool is set.
        """
        return AsyncSession(self, id, ttl, metadata, affinity)

    async def sessions(self) -> tuple[SessionInfo, ...]:
        """All sessions in the pool's store, frozen."""
        return await self._in_sessions("all")  # type: ignore[no-any-return]

    async def session_info(self, session_id: str) -> SessionInfo | None:
        """One session as it is now, frozen; None if there is none of that id."""
        return await self._in_sessions("info", check_session_id(session_id))  # type: ignore[no-any-return]

    async def end_session(self, session_id: str) -> bool:
        """End a session: its open calls are cancelled, its state leaves its workers within 1 s. False if there was none."""
        return await self._in_sessions("end", check_session_id(session_id))  # type: ignore[no-any-return]

    async def rebind_session(self, session_id: str) -> bool:
        """After `SessionLost`, or when `restore` failed: let a session go on, with an empty state, on any worker.

        False if its state is there, or this pool knows no session of that id: then nothing changes.
        """
        return await self._in_sessions("rebind", check_session_id(session_id))  # type: ignore[no-any-return]

    async def dump_stacks(self) -> dict[str, str]:
        """Where the threads of each worker are now, as `faulthandler` writes it, innermost frame first; within a tenth of a second.

        A handler in C answers, also in a worker whose tool holds the interpreter. Empty for a worker that was stopped, that a
        `command` started, or whose tools have taken SIGUSR1 for themselves.

        Returns:
            worker id -> text.
        """
        return await self._on_its_loop(await self._ready_engine()).views.stacks()

    async def end_quarantine(self) -> int:
        """What kept workers from starting is mended: try again at once, with as much patience as at first.

        Returns:
            how many slots were quarantined (`stats().quarantined`).
        """
        return await self._on_its_loop(await self._ready_engine()).end_quarantine()

    @property
    def tools(self) -> Any:
        """Discovered tools as functions: `await pool.tools.add(2, b=3)`; those that stream give an `AsyncStream`."""
        return AsyncTools(self)

    def bind(self, adapter: type[T]) -> T:
        """The pool's tools, typed as the adapter class for the editor: calling a method runs it in a worker."""
        return cast("T", self.tools)

    def tool_specs(self) -> tuple[ToolSpec, ...]:
        """What the workers offer, frozen. The pool must have been started."""
        return tuple(spec.picture() for spec in self._started_specs())

    def _started_specs(self) -> tuple[ToolSpec, ...]:
        self._started_engine()
        return self._specs()

    def _given_session(self, options: CallOptions) -> AsyncSession | None:
        """The session that a call is given as an object, which must be this pool's."""
        session = options.get("session_id")
        if not isinstance(session, SessionHandle):
            return None
        id_in(self, session)
        return cast("AsyncSession", session)

    async def _in_sessions(self, method: str, *args: Any) -> Any:
        """Ask the keeper of sessions."""
        engine = await self._ready_engine()
        return await getattr(engine.sessions, method)(*args)

    async def _ready_engine(self) -> Engine:
        if self._engine is None or self._closed or self._starting is None or not self._starting.done():
            await self.start()
        return self._on_its_loop(self._started_engine())

    @staticmethod
    def _on_its_loop(engine: Engine) -> Engine:
        if not engine.is_at_home:
            raise PoolError(
                "this AsyncPool was started on another event loop",
                code="wrong_loop",
                hint="use it on that loop, make one per loop, or share a Pool, which any thread may use",
            )
        return engine

    def _started_engine(self) -> Engine:
        self._usable()
        if self._engine is None:
            raise RuntimeError("the pool has not been started: use `async with AsyncPool(...)`, or `await pool.start()`")
        return self._engine


def _seen(starting: asyncio.Task[None]) -> None:
    """Who waited for a start may have been cancelled: that it failed then is no news to anybody."""
    if not starting.cancelled():
        starting.exception()


def _close_dropped(engine: Engine, pid: int) -> None:
    """A pool was dropped without `close`. In a forked child it is not ours to close."""
    if os.getpid() == pid:
        engine.close_dropped()
