"""The pool's heart: takes calls in, has them served, tells their callers how they went.

Lives on one event loop and is entered from its thread only. Decisions are the Scheduler's, processes the Supervisor's;
here they meet. A call is submitted once and its mailbox gets exactly one end.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from typing import Any

from snakepit._channel.negotiate import choose
from snakepit._workers.lifecycle import State
from snakepit._workers.worker import Death, StartFailure, Worker
from snakepit.config import PoolConfig
from snakepit.errors import (
    CallCancelled,
    ChannelError,
    PoolBroken,
    PoolClosed,
    PoolStartFailed,
    QueueFull,
    QueueTimeout,
    SnakepitError,
    WorkerTimeout,
)
from snakepit_bridge.wire import frames
from snakepit_bridge.wire.frames import Window
from snakepit_bridge.wire.plain import Unserialisable

from . import failures
from .call import Call, Ended, Failed, Mailbox
from .scheduler import Assignment, QueueIsFull, Scheduler
from .setup import PoolSetup
from .stats import Counters, PoolStats
from .tools import ToolSpec, parse_tool_specs

_log = logging.getLogger("snakepit.pool")


class Engine:
    """Runs one pool. `start` it, `submit` calls, `close` it."""

    def __init__(self, config: PoolConfig, setup: PoolSetup) -> None:
        self.config = config
        self.tools: dict[str, ToolSpec] = {}
        self.protocol = ""
        self._setup = setup
        self._loop = asyncio.get_running_loop()
        self._scheduler = Scheduler(config.queue_size, config.max_concurrent_streams)
        self._supervisor = setup.supervisor(config, self)
        self._window = Window(config.window_chunks, config.window_bytes)
        self._ids = itertools.count(1)
        # The mutable state of calls: everything submitted whose slot is not free again.
        self._calls: dict[int, Call] = {}
        self._counters = Counters()
        self._first_ready: asyncio.Future[None] = self._loop.create_future()
        self._failed_starts = 0
        self._broken: SnakepitError | None = None
        self._closing = False
        self._idle: asyncio.Event | None = None
        self._main: asyncio.Task[None] | None = None

    # Starting and ending ----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the workers; returns when the first is ready.

        Raises:
            AdapterError, ProtocolUnavailable, ConfigurationError, PoolStartFailed: why none is.
        """
        if self._main is None:
            self.protocol = choose(self.config.protocol)
            self._main = self._loop.create_task(self._supervisor.run(), name="snakepit-supervisor")
            self._main.add_done_callback(self._supervisor_ended)
        await asyncio.shield(self._first_ready)

    async def close(self, *, finish_unary: bool = False) -> None:
        """End every call and every worker. Bounded by `close_timeout` and the kill behind it.

        Args:
            finish_unary: let calls that give one result end by themselves first (each has its own deadline).
        """
        if finish_unary and self._broken is None:
            await self._unary_calls_ended()
        self._closing = True
        for call in list(self._calls.values()):
            self.cancel(call, "the pool was closed", PoolClosed(f"the pool was closed before {call.tool!r} ended", tool=call.tool))
        self._supervisor.stop()
        if self._main is not None:
            await asyncio.shield(asyncio.wait([self._main]))
        if not self._first_ready.done():
            self._first_ready.set_exception(PoolClosed("the pool was closed while it started"))
            self._first_ready.exception()  # nobody may be waiting for it
        self._setup.remove()

    async def _unary_calls_ended(self) -> None:
        self._idle = asyncio.Event()
        while any(not call.streaming and not call.over for call in self._calls.values()):
            self._idle.clear()
            await self._idle.wait()

    # Calls ------------------------------------------------------------------------------------------------------------------

    def new_call(self, tool: str, args: dict[str, Any], mailbox: Mailbox, *, streaming: bool, timeout: float | None) -> Call:
        """A call to `submit`; from any thread.

        Args:
            timeout: seconds until its deadline, counted from its submission; None: no deadline.
        """
        return Call(next(self._ids), tool, args, streaming, timeout, self._window, mailbox)

    def submit(self, call: Call) -> None:
        """Take a call in. Its mailbox gets whatever comes of it; refusals too."""
        refusal = self._refusal()
        if refusal is not None:
            call.finish(Failed(refusal))
            return
        self._calls[call.id] = call
        self._counters.submitted += 1
        now = self._loop.time()
        if call.timeout is not None:
            call.deadline = now + call.timeout
            call.timers.append(self._loop.call_at(call.deadline, self._deadline_passed, call))
        try:
            assignments = self._scheduler.submit(call.id, streaming=call.streaming)
        except QueueIsFull:
            self._refuse_for_queue(call)
            return
        self._dispatch(assignments)
        if not call.worker_id and not call.over and self.config.queue_timeout is not None:
            call.timers.append(self._loop.call_at(now + self.config.queue_timeout, self._queue_time_passed, call))

    def cancel(self, call: Call, reason: str, error: SnakepitError | None = None) -> None:
        """End a call for its caller now, and in the worker as soon as that can be. Harmless when it has ended."""
        told = call.finish(Failed(error or CallCancelled(f"{call.tool!r} was cancelled: {reason}", tool=call.tool)))
        if told and isinstance(error, WorkerTimeout):
            self._counters.timed_out += 1
        elif told:
            self._counters.cancelled += 1
        if call.id not in self._calls or call.cancelling:
            return
        if self._scheduler.withdraw(call.id):
            self._leave(call)
            return
        call.cancelling = True
        worker = self._supervisor.workers.get(call.worker_id)
        if worker is None:
            return
        if worker.connection.cancel(call.id, reason):
            self._slot_free(call, worker)
        else:
            call.timers.append(self._loop.call_later(self.config.cancel_timeout, self._kill_for, call, worker))

    def cancel_from_anywhere(self, call: Call, reason: str) -> None:
        """`cancel` from any thread, or from a garbage collection; returns at once."""
        with contextlib.suppress(RuntimeError):  # the loop has been closed, and every call has ended with it
            self._loop.call_soon_threadsafe(self.cancel, call, reason)

    def consumed(self, call: Call, chunks: int, nbytes: int) -> None:
        """The caller has taken chunks of a stream: as many more may come."""
        worker = self._supervisor.workers.get(call.worker_id)
        if worker is not None and not call.over:
            worker.connection.grant(call.id, chunks, nbytes)

    # News from the workers; called by the supervisor ---------------------------------------------------------------------------

    def worker_ready(self, worker: Worker) -> None:
        """A worker serves from now on."""
        try:
            self.tools = {spec.name: spec for spec in parse_tool_specs(worker.tools)}
        except ChannelError as error:
            self.start_failed(StartFailure("channel", error.message), gave_up=False)
            worker.condemn("its tool specs make no sense")
            return
        if not self._first_ready.done():
            self._first_ready.set_result(None)
        self._dispatch(self._scheduler.add_worker(worker.id, worker.concurrency))

    def worker_event(self, worker: Worker, event: frames.HostEvent) -> None:
        """Something came over a worker's channel."""
        if isinstance(event, frames.Chunks):
            call = self._calls.get(event.call_id)
            if call is not None and not call.over:
                call.chunks += len(event.payloads)
                self._counters.chunks += len(event.payloads)
                call.mailbox.put(event)
        elif isinstance(event, frames.Result | frames.Failure):
            self._call_ended(worker, event)
        elif isinstance(event, frames.Progress):
            call = self._calls.get(event.call_id)
            if call is not None and not call.over:
                call.report(event.payload)
        elif isinstance(event, frames.Unknown):
            _log.warning("%s sent a frame of unknown kind %r, which is ignored; is its snakepit-bridge newer?", worker.id, event.kind)

    def worker_lost(self, worker: Worker, death: Death) -> None:
        """A worker is gone: its calls fail, and only they."""
        worker.running.clear()
        for call_id in self._scheduler.remove_worker(worker.id):
            call = self._calls[call_id]
            if call.finish(Failed(failures.crashed(call, worker.id, worker.info().pid, death))):
                self._counters.crashed += 1
            self._leave(call)
        if not self._closing:
            _log.warning("%s is gone: %s", worker.id, death.cause)

    def start_failed(self, failure: StartFailure, *, gave_up: bool) -> None:
        """A worker did not become ready. Before the first one is, that may be the end; later only if the supervisor gives up."""
        self._failed_starts += 1
        error = failures.start_error(failure)
        _log.warning("a worker did not start: %s", failure.message)
        if not self._first_ready.done():
            if failure.kind in ("adapter", "protocol") or self._failed_starts >= self.config.size:
                self._first_ready.set_exception(error)
                self._break(error)
        elif gave_up:
            self._break(error)

    def _supervisor_ended(self, main: asyncio.Task[None]) -> None:
        """It ends when the pool closes; before that only by a fault of ours, which must not leave callers waiting."""
        fault = None if main.cancelled() else main.exception()
        if fault is not None:
            _log.error("the pool's supervisor failed", exc_info=fault)
            error = PoolStartFailed(f"internal error in the pool's supervisor: {fault!r}")
            if not self._first_ready.done():
                self._first_ready.set_exception(error)
            self._break(error)

    # Between the parts ----------------------------------------------------------------------------------------------------------

    def _refusal(self) -> SnakepitError | None:
        if self._closing:
            return PoolClosed("the pool is closed", hint="make a new one, or keep the call inside the `with` block")
        if self._broken is not None:
            return PoolBroken(f"the pool is broken: its workers do not start any more: {self._broken.message}", hint=self._broken.hint)
        return None

    def _break(self, error: SnakepitError) -> None:
        self._broken = error
        self._supervisor.stop()
        for call in list(self._calls.values()):
            if not call.worker_id:
                self.cancel(call, "the pool is broken", self._refusal())

    def _dispatch(self, assignments: list[Assignment]) -> None:
        pending = list(assignments)
        while pending:
            call_id, worker_id = pending.pop(0)
            call, worker = self._calls[call_id], self._supervisor.workers[worker_id]
            call.worker_id = worker_id
            worker.running.add(call_id)
            options: dict[str, Any] = {"stream": call.streaming}
            if call.deadline is not None:
                options["timeout"] = max(0.0, call.deadline - self._loop.time())
            try:
                worker.connection.call(call_id, call.tool, call.args, options, call.window)
            except Unserialisable as error:
                if call.finish(Failed(failures.unsendable(call, error))):
                    self._counters.failed += 1
                worker.running.discard(call_id)
                pending += self._scheduler.finish(call_id)
                self._leave(call)

    def _call_ended(self, worker: Worker, event: frames.Result | frames.Failure) -> None:
        call = self._calls.get(event.call_id)
        if call is None:
            return
        if isinstance(event, frames.Result):
            warning = event.metadata.pop("warning", None)
            if warning:
                _log.warning("%s: %s", worker.id, warning)
            tainted = event.metadata.pop("tainted", False)
            ok = call.finish(Ended(event.value, {**event.metadata, "worker_id": worker.id}))
            self._counters.succeeded += ok
        else:
            tainted = event.info.get("tainted", False)
            self._counters.failed += call.finish(Failed(failures.from_worker(call, event.info)))
        worker.calls_served += 1
        self._slot_free(call, worker)
        if tainted:
            worker.condemn("a cancelled call had to be interrupted where it may have held a lock")

    def _slot_free(self, call: Call, worker: Worker) -> None:
        for timer in call.timers:
            timer.cancel()
        worker.running.discard(call.id)
        self._leave(call)
        self._dispatch(self._scheduler.finish(call.id))

    def _leave(self, call: Call) -> None:
        self._calls.pop(call.id, None)
        if self._idle is not None:
            self._idle.set()

    def _refuse_for_queue(self, call: Call) -> None:
        self._leave(call)
        self._counters.failed += 1
        waiting = self._scheduler.waiting
        hint = "wait for results before submitting more, raise queue_size, or add workers"
        call.finish(Failed(QueueFull(f"{waiting} calls wait already, and queue_size is {self.config.queue_size}", hint=hint)))

    def _deadline_passed(self, call: Call) -> None:
        where = f"on {call.worker_id}" if call.worker_id else "while it waited for a worker"
        hint = "give it a larger timeout=, or None for no deadline"
        error = WorkerTimeout(
            f"{call.tool!r} did not end within {call.timeout:g} s ({where})", hint=hint, tool=call.tool, worker_id=call.worker_id
        )
        self.cancel(call, "its deadline has passed", error)

    def _queue_time_passed(self, call: Call) -> None:
        if not call.worker_id:
            message = f"{call.tool!r} waited {self.config.queue_timeout:g} s for a worker, which is the queue_timeout"
            self.cancel(call, "it waited too long", QueueTimeout(message, hint="add workers, or raise queue_timeout", tool=call.tool))

    def _kill_for(self, call: Call, worker: Worker) -> None:
        if call.id in self._calls:
            self._counters.killed += 1
            worker.condemn(f"{call.tool!r} did not stop within {self.config.cancel_timeout:g} s of being cancelled")

    # Figures --------------------------------------------------------------------------------------------------------------------

    def stats(self) -> PoolStats:
        """A picture of the pool now."""
        return PoolStats(
            size=self.config.size,
            workers_ready=sum(worker.state is State.READY for worker in self.workers()),
            restarts=self._supervisor.restarts,
            queued=self._scheduler.waiting,
            running=self._scheduler.running,
            protocol=self.protocol,
            **{name: getattr(self._counters, name) for name in Counters.__slots__},
        )

    def workers(self) -> tuple[Worker, ...]:
        """The workers of now."""
        return tuple(self._supervisor.workers.values())
