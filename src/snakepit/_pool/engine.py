"""The pool's heart: takes calls in, has them served, tells their callers how they went.

Lives on one event loop and is entered from its thread only. Decisions are the Scheduler's, processes the Supervisor's;
here they meet. A call is submitted once and its mailbox gets exactly one end.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import logging
import os
import time
from typing import Any

from snakepit._channel.negotiate import choose
from snakepit._workers.lifecycle import State
from snakepit._workers.worker import Death, StartFailure, Worker
from snakepit.config import PoolConfig
from snakepit.errors import CallCancelled, ChannelError, PoolStartFailed, SnakepitError
from snakepit_bridge.wire import frames
from snakepit_bridge.wire.frames import Window
from snakepit_bridge.wire.plain import Unserialisable

from . import failures
from .call import Call, Ended, Failed, Mailbox
from .ledger import Ledger
from .scheduler import Assignment, QueueIsFull, Scheduler
from .setup import PoolSetup
from .stats import PoolStats
from .tools import ToolSpec, parse_tool_specs

_log = logging.getLogger("snakepit.pool")


class Engine:
    """Runs one pool. `start` it, `submit` calls, `close` it."""

    def __init__(self, config: PoolConfig, setup: PoolSetup) -> None:
        self.config = config
        self.tools: dict[str, ToolSpec] = {}
        self.protocol = ""
        self._pid = os.getpid()
        self._setup = setup
        self._loop = asyncio.get_running_loop()
        self._scheduler = Scheduler(config.queue_size, config.max_concurrent_streams)
        self._supervisor = setup.supervisor(config, self)
        self._window = Window(config.window_chunks, config.window_bytes)
        self._ids = itertools.count(1)
        self._ledger = Ledger()
        self._first_ready: asyncio.Future[None] = self._loop.create_future()
        self._broken: SnakepitError | None = None
        self._closing = False
        self._main: asyncio.Task[None] | None = None
        self._dropped: asyncio.Task[None] | None = None  # held here: a loop holds its tasks weakly

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

    def give_up_start(self) -> None:
        """The pool is closed while it starts: `start` raises PoolClosed, and who called it closes."""
        if not self._first_ready.done():
            self._first_ready.set_exception(failures.closed())

    def close_dropped(self) -> None:
        """Nobody holds the pool any more: close it. From any thread, or from a garbage collection; returns at once."""
        with contextlib.suppress(RuntimeError):  # the loop has been closed, and everything has ended with it
            self._loop.call_soon_threadsafe(self._close_in_task)

    def _close_in_task(self) -> None:
        self._dropped = self._loop.create_task(self.close(), name="snakepit-close")

    async def close(self, *, finish_unary: bool = False, kill: bool = False) -> None:
        """End every call and every worker. Bounded by `close_timeout` and the kill behind it.

        Args:
            finish_unary: let calls that give one result end by themselves first (each has its own deadline).
            kill: do not wait for workers to clean up.
        """
        if finish_unary and self._broken is None:
            await self._ledger.unary_calls_ended()
        self._closing = True
        for call in self._ledger.open_calls():
            self.cancel(call, "the pool was closed", failures.closed_under(call))
        self._supervisor.stop()
        for worker in self.workers() if kill else ():
            worker.condemn("the pool was closed at once")
        if self._main is not None:
            await asyncio.shield(asyncio.wait([self._main]))
        if not self._first_ready.done():
            self._first_ready.set_exception(failures.closed())
            self._first_ready.exception()  # nobody may be waiting for it
        self._setup.remove()

    @property
    def is_at_home(self) -> bool:
        """Is the caller on the loop that this engine lives on?"""
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:  # no loop runs here
            return False

    # Calls ------------------------------------------------------------------------------------------------------------------

    def check_process(self) -> None:
        """Refuse a forked child, where nothing that was begun before the fork will ever arrive.

        Raises:
            PoolForked: this is not the process that made the pool.
        """
        if os.getpid() != self._pid:
            raise failures.forked(self._pid)

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
        self._ledger.enter(call)
        now = self._loop.time()
        if call.timeout is not None:
            call.deadline = now + call.timeout
            call.timers.append(self._loop.call_at(call.deadline, self._deadline_passed, call))
        try:
            assignments = self._scheduler.submit(call.id, streaming=call.streaming)
        except QueueIsFull:
            self._ledger.tell(call, Failed(failures.queue_full(self._scheduler.waiting, self.config.queue_size)))
            self._ledger.leave(call)
            return
        self._dispatch(assignments)
        patience = self.config.queue_timeout
        if patience is not None and not call.worker_id and not call.over:
            call.timers.append(self._loop.call_at(now + patience, self._queue_time_passed, call, patience))

    def cancel(self, call: Call, reason: str, error: SnakepitError | None = None) -> None:
        """End a call for its caller now, and in the worker as soon as that can be. Harmless when it has ended."""
        self._ledger.tell(call, Failed(error or CallCancelled(f"{call.tool!r} was cancelled: {reason}", tool=call.tool)))
        if self._ledger.get(call.id) is None or call.cancelling:
            return
        if self._scheduler.withdraw(call.id):
            self._ledger.leave(call)
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
            self.start_failed(StartFailure("tools", error.message), gave_up=False)
            worker.condemn("its tool specs make no sense")
            return
        if not self._first_ready.done():
            self._first_ready.set_result(None)
        self._dispatch(self._scheduler.add_worker(worker.id, worker.concurrency))

    def worker_event(self, worker: Worker, event: frames.HostEvent) -> None:
        """Something came over a worker's channel."""
        if isinstance(event, frames.Chunks):
            call = self._ledger.get(event.call_id)
            if call is not None and not call.over:
                call.chunks += len(event.payloads)
                self._ledger.counters.chunks += len(event.payloads)
                call.mailbox.put(event)
        elif isinstance(event, frames.Result | frames.Failure):
            self._call_ended(worker, event)
        elif isinstance(event, frames.Progress):
            call = self._ledger.get(event.call_id)
            if call is not None and not call.over:
                call.report(event.payload)
        elif isinstance(event, frames.Unknown):
            _log.warning("%s sent a frame of unknown kind %r, which is ignored; is its snakepit-bridge newer?", worker.id, event.kind)

    def worker_lost(self, worker: Worker, death: Death) -> None:
        """A worker is gone: its calls fail, and only they."""
        worker.running.clear()
        orphans, assignments = self._scheduler.remove_worker(worker.id)
        for call_id in orphans:
            call = self._ledger.get(call_id)
            assert call is not None, "a running call is open"
            self._ledger.tell(call, Failed(failures.crashed(call, worker.id, worker.info().pid, death)))
            self._ledger.leave(call)
        self._dispatch(assignments)
        if not self._closing:
            _log.warning("%s is gone: %s", worker.id, death.cause)

    def start_failed(self, failure: StartFailure, *, gave_up: bool) -> None:
        """A worker did not become ready. Before the first one is, that may be the end; later only if the supervisor gives up."""
        error = failures.start_error(failure)
        _log.warning("a worker did not start: %s", failure.message)
        if not self._first_ready.done():
            # The same would happen again; or the supervisor gives up; or no other worker is on its way any more.
            if failure.kind in ("adapter", "protocol", "tools") or gave_up or not self._supervisor.workers:
                self._first_ready.set_exception(error)
                self._break(error)
        elif gave_up:
            self._break(error)

    def _supervisor_ended(self, main: asyncio.Task[None]) -> None:
        """It ends when the pool closes; before that only by a fault of ours, which must not leave callers waiting."""
        self._setup.remove()
        if main.cancelled():  # the loop ends under an open pool, and nobody will call `close`
            self._closing = True
            for call in self._ledger.open_calls():
                self.cancel(call, "the pool's loop has ended", failures.closed_under(call))
            return
        fault = main.exception()
        if fault is not None:
            _log.error("the pool's supervisor failed", exc_info=fault)
            error = PoolStartFailed(f"internal error in the pool's supervisor: {fault!r}")
            if not self._first_ready.done():
                self._first_ready.set_exception(error)
            self._break(error)

    # Between the parts ----------------------------------------------------------------------------------------------------------

    def _refusal(self) -> SnakepitError | None:
        if self._closing:
            return failures.closed()
        return failures.broken(self._broken) if self._broken is not None else None

    def _break(self, error: SnakepitError) -> None:
        self._broken = error
        self._supervisor.stop()
        for call in self._ledger.open_calls():
            if not call.worker_id:
                self.cancel(call, "the pool is broken", self._refusal())

    def _dispatch(self, assignments: list[Assignment]) -> None:
        pending = list(assignments)
        while pending:
            call_id, worker_id = pending.pop(0)
            call, worker = self._ledger.get(call_id), self._supervisor.workers[worker_id]
            assert call is not None, "a call in the queue is open"
            call.began, call.worker_id = time.monotonic(), worker_id
            worker.running.add(call_id)
            options: dict[str, Any] = {"stream": call.streaming, "kill_after": self.config.cancel_timeout}
            if call.deadline is not None:
                options["timeout"] = max(0.0, call.deadline - self._loop.time())
            try:
                worker.connection.call(call_id, call.tool, call.args, options, call.window)
            except Unserialisable as error:
                self._ledger.tell(call, Failed(failures.unsendable(call, error)))
                self._ledger.leave(call)
                worker.running.discard(call_id)
                pending += self._scheduler.finish(call_id)

    def _call_ended(self, worker: Worker, event: frames.Result | frames.Failure) -> None:
        call = self._ledger.get(event.call_id)
        if call is None:
            return
        if isinstance(event, frames.Result):
            warning = event.metadata.pop("warning", None)
            if warning:
                _log.warning("%s: %s", worker.id, warning)
            tainted = event.metadata.pop("tainted", False)
            self._ledger.tell(call, Ended(event.value, {**event.metadata, "worker_id": worker.id}))
        else:
            tainted = event.info.get("tainted", False)
            self._ledger.tell(call, Failed(failures.from_worker(call, event.info)))
        worker.calls_served += 1
        if tainted:
            self._condemn(worker, "a cancelled call had to be interrupted where it may have held a lock")
        self._slot_free(call, worker)

    def _slot_free(self, call: Call, worker: Worker) -> None:
        worker.running.discard(call.id)
        self._ledger.leave(call)
        self._dispatch(self._scheduler.finish(call.id))

    def _deadline_passed(self, call: Call) -> None:
        self.cancel(call, "its deadline has passed", failures.deadline_passed(call))

    def _queue_time_passed(self, call: Call, seconds: float) -> None:
        if not call.worker_id:
            self.cancel(call, "it waited too long", failures.queued_too_long(call, seconds))

    def _kill_for(self, call: Call, worker: Worker) -> None:
        if self._ledger.get(call.id) is call:
            self._ledger.counters.killed += 1
            self._condemn(worker, f"{call.tool!r} did not stop within {self.config.cancel_timeout:g} s of being cancelled")

    def _condemn(self, worker: Worker, reason: str) -> None:
        self._scheduler.retire_worker(worker.id)  # first: a call that came now would die with it
        worker.condemn(reason)

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
            **dataclasses.asdict(self._ledger.counters),
        )

    def workers(self) -> tuple[Worker, ...]:
        """The workers of now."""
        return tuple(self._supervisor.workers.values())
