"""What `Pool` and `AsyncPool` share: their settings, whether they may be used here, and the views on a running engine."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, overload

from snakepit._pool.draining import Drained
from snakepit._pool.engine import Engine
from snakepit._pool.failures import closed, forked
from snakepit._pool.health import PoolHealth, judged
from snakepit._pool.host_tools.offers import Offers
from snakepit._pool.stats import PoolStats
from snakepit._pool.tools import ToolSpec
from snakepit._workers.health import WorkerHealth
from snakepit._workers.info import WorkerInfo
from snakepit._workers.launchers import Launcher
from snakepit._workers.worker import Worker
from snakepit.config import Adapter, PoolConfig, pool_config
from snakepit.errors import PlatformUnsupported
from snakepit.events import TelemetrySettings, check_enabled, check_patterns, check_sampling
from snakepit_bridge.frozen import freeze

from .options import SessionHandle, id_in

F = TypeVar("F", bound=Callable[..., Any])


#: What those look for who come from other pools.
_OF_EXECUTORS = {
    **dict.fromkeys(("imap", "starmap"), 'map("tool", items), with arguments by name in each item'),
    "imap_unordered": 'stream_map("tool", items)',
    **dict.fromkeys(("shutdown", "terminate", "join"), "close() cancels what runs, and the end of `with` waits for it"),
    **dict.fromkeys(("apply", "run", "call"), 'execute("tool", {...})'),
    **dict.fromkeys(("apply_async", "delay", "remote"), 'submit("tool", {...})'),
}


class WorkerHandle:
    """One worker of a pool, for looking at."""

    __slots__ = ("_engine", "_worker")

    def __init__(self, worker: Worker, engine: Engine) -> None:
        self._worker = worker
        self._engine = engine

    @property
    def id(self) -> str:
        """Such as `worker-1`."""
        return self._worker.id

    @property
    def pid(self) -> int | None:
        """Its process id; None if it was never started."""
        return self.info().pid

    def info(self) -> WorkerInfo:
        """What is known of it now."""
        return self._worker.info()

    def health(self) -> WorkerHealth:
        """Whether it is well, frozen: a look from here, for which it is asked nothing."""
        return self._engine.views.worker_health(self._worker)

    def __repr__(self) -> str:
        info = self.info()
        return f"<WorkerHandle {self.id} pid={info.pid} {info.state}>"


class PoolBase:
    """Settings, fork check, and views. Making one starts nothing."""

    def __init__(self, adapter: Adapter, settings: dict[str, Any]) -> None:
        if sys.platform == "win32":
            raise PlatformUnsupported("a pool needs Linux or macOS", hint="on Windows, run it under WSL")
        self._adapter = adapter
        self._config: PoolConfig = pool_config(settings)
        self._offers = Offers()
        self._engine: Engine | None = None
        self._wanted = TelemetrySettings(enabled=self._config.on_event is not None, sampling=freeze({}))
        self._closed = False
        self._pid = os.getpid()

    def register_tool(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str = "",
        session_id: str | SessionHandle | None = None,
    ) -> None:
        """Offer a function of this process to the pool's tools, which call it as `self.host_tools["name"](...)`.

        Sync functions and generators run on threads of the pool (`host_tool_threads` at once), async ones on its loop: with
        `Pool` that is the loop thread all pools share, so they must not block it.

        Args:
            function: sync, async or a generator function.
            name: what tools call it by; the function's own name by default. A lambda needs one.
            description: one sentence; the docstring's first line by default.
            session_id: offer it to the calls of this session only, in place of a general one of that name: an id, or a `Session`.

        Raises:
            InvalidToolSpec: it is no function, its name is malformed, or taken (code `duplicate_tool`).
            InvalidParameter: session_id is none, or a `Session` of another pool.
            PoolClosed: no tool will run any more.
        """
        self._usable()
        self._offers.register(function, name, description, self._session_name(session_id))

    def unregister_tool(self, name: str | Callable[..., Any], *, session_id: str | SessionHandle | None = None) -> bool:
        """Offer a function no more; False if it was not offered. Calls that run go on.

        Args:
            name: the name it is offered by; or the function itself, whatever its names.
            session_id: it was offered to this session only.
        """
        return self._offers.unregister(name, self._session_name(session_id))

    def host_tool_specs(self, *, session_id: str | SessionHandle | None = None) -> tuple[ToolSpec, ...]:
        """What this application offers to tools, frozen, by name.

        Args:
            session_id: as the calls of this session see it: with what is offered to them alone. None: what is offered to all.
        """
        return tuple(spec.picture() for spec in self._offers.known(self._session_name(session_id)))

    @overload
    def host_tool(self, function: F) -> F: ...

    @overload
    def host_tool(
        self, *, name: str | None = ..., description: str = ..., session_id: str | SessionHandle | None = ...
    ) -> Callable[[F], F]: ...

    def host_tool(
        self,
        function: Any = None,
        *,
        name: str | None = None,
        description: str = "",
        session_id: str | SessionHandle | None = None,
    ) -> Any:
        """`register_tool` as a decorator, with and without parentheses; the function stays as it is."""

        def offer(target: F) -> F:
            self.register_tool(target, name=name, description=description, session_id=session_id)
            return target

        return offer if function is None else offer(function)

    def _session_name(self, session: str | SessionHandle | None) -> str:
        return "" if session is None else id_in(self, session)

    def telemetry(
        self,
        *,
        enabled: bool | None = None,
        sampling: Mapping[str, float] | None = None,
        allow: Sequence[str] | None = None,
        deny: Sequence[str] | None = None,
    ) -> TelemetrySettings:
        """Change which events workers send to `on_event`, those that run and those that start later. None leaves a part as it is.

        Patterns are those of the shell, such as `python.*`. Returns at once; a worker obeys when it hears it.

        Args:
            enabled: whether any are sent.
            sampling: the share that is sent, from 0 to 1, by pattern; the first that matches decides, what matches none is sent.
            allow: only what matches one of these; empty: everything. deny: nothing of this.

        Returns:
            what holds from now on.

        Raises:
            InvalidParameter: one of them is malformed, or events are wanted and the pool has no `on_event`.
        """
        self._usable()
        before = self._wanted
        wanted = TelemetrySettings(
            before.enabled if enabled is None else check_enabled(enabled, self._config.on_event),
            before.sampling if sampling is None else freeze(check_sampling(sampling)),
            before.allow if allow is None else check_patterns("allow", allow),
            before.deny if deny is None else check_patterns("deny", deny),
        )
        self._wanted = wanted
        if self._engine is not None:
            self._engine.events.change_from_anywhere(wanted)
        return wanted

    def stats(self) -> PoolStats:
        """The pool's figures now, frozen."""
        if self._engine is None:
            return PoolStats(size=self._config.size)
        return self._engine.views.stats()

    def health(self) -> PoolHealth:
        """Whether the pool is well, and if not, why: ok, degraded or failing. Frozen; starts nothing, asks no worker, never waits."""
        if self._engine is None:
            return judged(self.stats(), queue_size=self._config.queue_size, phase="closed" if self._closed else "new")
        return self._engine.views.health()

    def workers(self) -> tuple[WorkerHandle, ...]:
        """Handles of the workers there are now."""
        engine = self._engine
        return tuple(WorkerHandle(worker, engine) for worker in engine.workers()) if engine is not None else ()

    def __getattr__(self, name: str) -> Any:
        cure = _OF_EXECUTORS.get(name)
        text = f"{type(self).__name__!r} object has no attribute {name!r}" + (f"; {cure}" if cure else "")
        raise AttributeError(text, name=name, obj=self)

    def _launcher(self) -> Launcher | None:
        """What starts workers inside this process; None: they are processes."""
        return None

    def _drain_from_elsewhere(self, timeout: float) -> concurrent.futures.Future[Drained] | None:
        """`drain` from any thread; None if there is nothing to wait for. A pool that is starting is closed."""
        engine = self._engine
        if engine is not None:
            return engine.draining.run_from_elsewhere(timeout)
        threading.Thread(target=self._close_from_elsewhere, args=(timeout,), name="snakepit-close", daemon=True).start()
        return None

    def _kill_from_elsewhere(self) -> None:
        """End the workers, and all calls with them, from any thread; returns at once. Somebody closes the pool."""
        engine = self._engine
        if engine is not None:
            with contextlib.suppress(RuntimeError):  # its loop has ended, and everything with it
                engine.draining.loop.call_soon_threadsafe(engine.kill)

    def _close_from_elsewhere(self, seconds: float) -> None:
        """`close` from any thread but the loop's; waits for it, so many seconds where it can be bounded."""
        raise NotImplementedError

    def _usable(self) -> None:
        if self._pid != os.getpid():
            raise forked(self._pid)
        if self._closed:
            raise closed()

    def _specs(self) -> tuple[ToolSpec, ...]:
        return tuple(self._engine.tools.values()) if self._engine is not None else ()

    def __repr__(self) -> str:
        running = "running" if self._engine is None or not self._engine.draining.begun else "draining"
        state = "closed" if self._closed else "not started" if self._engine is None else running
        return f"<{type(self).__name__} of {self._config.size}, {state}>"
