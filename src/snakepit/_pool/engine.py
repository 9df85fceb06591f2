"""The pool's heart: takes calls in, has them served, tells their callers how they went.

Lives on one event loop and is entered from its thread only. Decisions are the Scheduler's, processes the Supervisor's;
here they meet. A call is submitted once and its mailbox gets exactly one end.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from snakepit._channel.negotiate import Selection
from snakepit._sessions.store import SessionStore
from snakepit._workers.ends import Death, StartFailure
from snakepit._workers.lifecycle import State
from snakepit._workers.stacks import innermost
from snakepit._workers.worker import Worker
from snakepit.config import PoolConfig
from snakepit.errors import ChannelError, InvalidToolSpec, PoolStartFailed, SnakepitError
from snakepit.telemetry import spans
from snakepit.telemetry.logs import library_logger
from snakepit_bridge.redaction import Redactor
from snakepit_bridge.wire import frames
from snakepit_bridge.wire.frames import Window

from . import failures
from .bundle import Job
from .call import Call, Failed, Mailbox
from .dispatcher import Dispatcher
from .draining import Draining
from .events import Events
from .host_tools.context import CURRENT
from .host_tools.offers import Offers
from .host_tools.tools import HostTools
from .scheduler import Scheduler
from .sessions.access import StoreAccess
from .sessions.keeper import Keeper
from .setup import PoolSetup
from .status_server import StatusServer
from .tools import ToolSpec, parse_tool_specs
from .views import Condition, Phase, Views

_log = library_logger("snakepit.pool")


class Engine:
    """Runs one pool. `start` it, `submit` calls, `close` it."""

    def __init__(self, config: PoolConfig, setup: PoolSetup, selection: Selection, offers: Offers, store: SessionStore) -> None:
        self.config = config
        self._offers = offers
        self._selection = selection
        self.run_id = setup.run_id
        self._pid = os.getpid()
        self._setup = setup
        self._loop = asyncio.get_running_loop()
        self._scheduler = Scheduler(config.queue_size, config.max_concurrent_streams)
        redactor = self._redactor = Redactor(config.secret_names, config.secret_patterns)
        self._supervisor = setup.supervisor(config, selection, redactor, self)
        self._window = Window(config.window_chunks, config.window_bytes)
        access = StoreAccess(store, owned=store is not config.session_store)
        self.sessions = Keeper(access, self._scheduler, config.session_ttl, self._let_go, offers.drop_session, self.cancel)
        self._calls = Dispatcher(config, self._scheduler, self.sessions, self._supervisor.workers, self.run_id, redactor, self._call_left)
        self._ledger, self.together, self.withdraw = self._calls.ledger, self._calls.bundles, self._calls.withdraw
        self.draining = Draining(self._ledger, self.run_id, self.cancel)
        self._host_tools = HostTools(offers, self.run_id, config.host_tool_threads, redactor)
        self._first_ready: asyncio.Future[None] = self._loop.create_future()
        self._broken: SnakepitError | None = None
        self._closing = self._serving = False
        self._failed_start = ""  # why the newest start of a worker failed; empty: one has been ready since
        self.events = Events(config.on_event, self.workers)
        parts = self._supervisor, self._scheduler, self._calls, redactor, self._condition, self.events
        self.views = Views(config, setup.facts(config), *parts)
        self._status: StatusServer | None = None
        self._warned: set[str] = set()  # of what workers say of their adapter: all of a pool have the same
        self._main: asyncio.Task[None] | None = None
        self._dropped: asyncio.Task[None] | None = None  # held here: a loop holds its tasks weakly

    # Starting and ending ----------------------------------------------------------------------------------------------------

    @classmethod
    async def made(cls, config: PoolConfig, setup: PoolSetup, offers: Offers) -> Engine:
        """An engine with its session store, on the loop that it will live on. If that fails, nothing of it stays, `setup` neither.

        Raises:
            ConfigurationError, SessionStoreError: a setting is wrong, also of the environment; or the store does not open.
            ProtocolUnavailable, PoolForked: see `PoolSetup.selection`.
        """
        try:
            selection = await setup.selection(config)
            store = await setup.session_store(config)
            try:
                return cls(config, setup, selection, offers, store)
            except BaseException:
                if store is not config.session_store:
                    store.close()
                raise
        except BaseException:
            setup.remove()
            raise

    async def start(self) -> None:
        """Start the workers; returns when the first is ready.

        Raises:
            AdapterError, ConfigurationError, ProtocolUnavailable, PoolStartFailed: why none is.
        """
        if self._main is None:
            if self._selection.protocol:  # else it is told when the first worker has reported
                self._selection.tell(_log)
            self._status = self._setup.status_server(self.views.document)
            self._main = self._loop.create_task(self._supervisor.run(), name="snakepit-supervisor")
            self._main.add_done_callback(self._supervisor_ended)
        await asyncio.shield(self._first_ready)

    def give_up_start(self) -> None:
        """The pool is closed while it starts: `start` raises PoolClosed, and who called it closes."""
        if not self._first_ready.done():
            self._first_ready.set_exception(failures.closed())
            self._first_ready.exception()  # nobody may be waiting for it yet

    def close_dropped(self) -> None:
        """Nobody holds the pool any more: close it. From any thread, or from a garbage collection; returns at once."""
        try:
            self._loop.call_soon_threadsafe(self._close_in_task)
        except RuntimeError:  # the loop has been closed, and everything has ended with it
            self._remove()

    def _close_in_task(self) -> None:
        self._dropped = self._loop.create_task(self.close(), name="snakepit-close")

    def kill(self) -> None:
        """End every call and every worker now. Somebody closes the pool, or will."""
        self._closing = True
        self.draining.cut_off("the pool was closed", failures.closed_under)
        self._supervisor.stop()
        for worker in self.workers():
            worker.condemn("the pool was closed at once", look=True)

    async def close(self, *, finish_unary: bool = False, kill: bool = False) -> None:
        """End every call and every worker. Bounded by `close_timeout` and the kill behind it.

        Args:
            finish_unary: let calls that give one result end by themselves first (each has its own deadline).
            kill: do not wait for workers to clean up.
        """
        if finish_unary and self._broken is None:
            await self._ledger.calls_ended(unary_only=True)
        self._closing = True
        self.draining.cut_off("the pool was closed", failures.closed_under)
        await self._host_tools.close()
        self._supervisor.stop()
        if kill:
            self.kill()
        if self._main is not None:
            await asyncio.shield(asyncio.wait([self._main]))
        self.give_up_start()
        await self.events.close()
        await self.sessions.close()
        self._remove()

    @property
    def is_at_home(self) -> bool:
        """Is the caller on the loop that this engine lives on?"""
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:  # no loop runs here
            return False

    @property
    def tools(self) -> Mapping[str, ToolSpec]:
        """What the workers offer, by name; frozen."""
        return self._offers.registry.worker_tools

    # Calls ------------------------------------------------------------------------------------------------------------------

    def check_process(self) -> None:
        """Refuse a forked child, where nothing that was begun before the fork will ever arrive.

        Raises:
            PoolForked: this is not the process that made the pool.
        """
        if os.getpid() != self._pid:
            raise failures.forked(self._pid)

    def new_call(
        self, tool: str, args: dict[str, Any], mailbox: Mailbox, *, streaming: bool, timeout: float | None, **options: Any
    ) -> Call:
        """A call to `submit`; from any thread, the one in which its caller called.

        Args:
            timeout: seconds until its deadline, counted from its submission; None: no deadline.
            **options: further attributes of `Call`.

        Raises:
            NestingTooDeep: it was made by a host tool, too many levels deep.
            CallCancelled: it was made by a host tool that nobody waits for any more.
            PoolDraining: the pool takes no new calls, and no running call of its own needs this one.
        """
        above = CURRENT.get()
        if self.draining.refuses(above.ancestors if above is not None else ()):
            raise failures.draining()
        number = next(self._ledger.numbers)
        call = Call(number, tool, args, streaming, timeout, self._window, mailbox, **options)
        spec = self.tools.get(tool)
        call.blocking = spec is not None and not spec.asynchronous
        call.repeatable = spec is not None and spec.idempotent
        if above is None:
            call.correlation_id = f"{self.run_id}-{number}"
        elif above.depth >= self.config.max_call_depth:
            raise failures.too_deep(tool, above.depth + 1, self.config.max_call_depth)
        else:
            call.correlation_id, call.ancestors, call.family = above.correlation_id, above.ancestors, above.offspring
            if not call.family.add(call, above, functools.partial(self.cancel_from_anywhere, call, "the call that led to it has ended")):
                raise failures.made_too_late(tool, above.tool, above.caller)
        call.span = spans.begin(call, self.run_id, self._redactor)
        return call

    def submit(self, call: Call) -> None:
        """Take a call in. Its mailbox gets whatever comes of it; refusals too."""
        refusal = self._refusal()
        if refusal is not None or self.draining.refuses(call.ancestors):
            call.finish(Failed(refusal or failures.draining()))
        elif call.over:  # cancelled before it got here: only the figures have to do with it
            self._ledger.enter(call)
            self._ledger.leave(call)
        else:
            self._calls.submit(call)

    def cancel(self, call: Call, reason: str, error: SnakepitError | None = None) -> None:
        """End a call for its caller now, and in the worker as soon as that can be. Harmless when it has ended."""
        self._calls.cancel(call, reason, error)

    def cancel_from_anywhere(self, call: Call, reason: str) -> None:
        """`cancel` from any thread, or from a garbage collection; returns at once."""
        self._from_anywhere(self.cancel, call, reason)

    def leave_job(self, job: Job, reason: str) -> None:
        """Cancel what is open of a `map`: from any thread, or from a garbage collection; returns at once."""
        self._from_anywhere(self._calls.leave_job, job, reason)

    def waited_for(self, call: Call) -> None:
        """A host tool waits for this call of its own, or does so no more: `call.waited`. From any thread."""
        self._from_anywhere(self._calls.waited_for, call)

    def _from_anywhere(self, function: Callable[..., object], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed, and every call has ended with it
            self._loop.call_soon_threadsafe(function, *args)

    def consumed(self, call: Call, chunks: int, nbytes: int) -> None:
        """The caller has taken chunks of a stream: as many more may come."""
        self._calls.consumed(call, chunks, nbytes)

    # News from the workers; called by the supervisor ---------------------------------------------------------------------------

    def worker_ready(self, worker: Worker) -> None:
        """A worker serves from now on."""
        try:
            self._offers.registry.set_worker_tools(parse_tool_specs(worker.says.tools), open_ended=worker.says.open_ended)
        except (ChannelError, InvalidToolSpec) as error:
            self.start_failed(StartFailure("tools", error.message), gave_up=False)
            worker.condemn("its tool specs make no sense")
            return
        for text in set(worker.says.warnings) - self._warned:
            _log.warning("%s", text)
            self._warned.add(text)
        if not self._first_ready.done():
            if not self._selection.protocol and worker.selection is not None:
                self._selection = worker.selection
                self._selection.tell(_log)
            self._first_ready.set_result(None)
        self._serving, self._failed_start = True, ""
        self.events.worker_ready(worker)  # before its first call
        self._calls.worker_ready(worker)

    def worker_worn(self, worker: Worker, reason: str) -> None:
        """Another one serves in its place: it leaves when its calls have ended."""
        self._calls.departures.retire(worker, reason)

    def worker_event(self, worker: Worker, event: frames.HostEvent) -> None:
        """Something came over a worker's channel."""
        if isinstance(event, frames.Chunks):
            call = self._ledger.get(event.call_id)
            if call is not None and not call.over:
                call.chunks += len(event.payloads)
                self._ledger.counters.chunks += len(event.payloads)
                if call.span is not None:
                    call.span.nbytes += event.nbytes
                worker.secrets.told(event.payloads)
                call.mailbox.put(event)
        elif isinstance(event, frames.Result | frames.Failure):
            self._calls.call_ended(worker, event)
        elif isinstance(event, frames.Stalled):
            self._calls.stalled(worker, event)
        elif isinstance(event, frames.Progress):
            call = self._ledger.get(event.call_id) or self._calls.bundles.traveller(event.call_id)
            if call is not None and not call.over:
                call.report(event.payload)
        elif isinstance(event, frames.HostCall | frames.Credit | frames.Cancel):
            self._host_tools.worker_event(worker, event, self._calls.spoken_of)
        elif isinstance(event, frames.Events | frames.NoEvents):
            self.events.take(worker, event)
        elif isinstance(event, frames.Shared):
            self._calls.takes_ahead(worker)
        elif isinstance(event, frames.Unknown):
            _log.warning("%s sent a frame of unknown kind %r, which is ignored; is its snakepit-bridge newer?", worker.id, event.kind)

    def worker_condemned(self, worker: Worker, reason: str) -> None:
        """A worker is about to be killed, or (no reason) has ended: it gets no further call."""
        self._calls.departures.condemned(worker, reason)

    def worker_lost(self, worker: Worker, death: Death) -> None:
        """A worker is gone: its calls fail, and only they."""
        self._calls.worker_lost(worker, death, retry=not self._closing)
        if worker.retiring and worker.state is State.DRAINING:
            _log.info("%s has been recycled: %s", worker.id, worker.retiring, extra={"worker_id": worker.id})
        elif (where := innermost(death.stacks)) or not self._closing:
            cause = f"{death.cause}; its main thread was in {where}" if where else death.cause
            _log.warning("%s is gone: %s", worker.id, cause, extra={"worker_id": worker.id, "stacks": death.stacks})

    def start_failed(self, failure: StartFailure, *, gave_up: bool) -> None:
        """A worker did not become ready. Before the first one is, that may be the end; later only if the supervisor gives up."""
        error, self._failed_start = failures.start_error(failure), failure.message
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
        self._remove()
        if not main.cancelled() and not self._closing:  # one that has given up is asked why: it answers until it is closed
            self._status = self._setup.status_server(self.views.document)
        if main.cancelled():  # the loop ends under an open pool, and nobody will call `close`
            self._closing = True
            self.draining.cut_off("the pool's loop has ended", failures.closed_under)
            self._host_tools.cancel_all()
            self.events.stop()
            return
        fault = main.exception()
        if fault is not None:
            _log.error("the pool's supervisor failed", exc_info=fault)
            error = PoolStartFailed(f"internal error in the pool's supervisor: {fault!r}")
            if not self._first_ready.done():
                self._first_ready.set_exception(error)
            self._break(error)

    def _remove(self) -> None:
        if self._status is not None:
            self._status.close()
        self._setup.remove()

    # Between the parts ----------------------------------------------------------------------------------------------------------

    def _refusal(self) -> SnakepitError | None:
        if self._closing:
            return failures.closed()
        return failures.broken(self._broken) if self._broken is not None else None

    def _break(self, error: SnakepitError) -> None:
        self._broken = error
        self._supervisor.stop()
        parts = [part for call in self._ledger.open_calls() for part in self._calls.scattered(call)]
        for part in filter(lambda part: not part.worker_id, parts):
            self.cancel(part, "the pool is broken", self._refusal())

    def _let_go(self, session_id: str, holders: Iterable[str], reason: str) -> None:
        """The state of a session on these workers is of no more use."""
        for worker_id in holders:
            worker = self._supervisor.workers.get(worker_id)
            if worker is not None and worker.state is State.READY:
                worker.secrets.session_ended(session_id)
                worker.connection.end_session(session_id, reason)

    def _call_left(self, call: Call) -> None:
        """A call's slot is free again: what it asked of host tools is of no more use."""
        self._host_tools.parent_ended(call.id)

    # Figures; most are in `views` ---------------------------------------------------------------------------------------------

    def _condition(self) -> Condition:
        broken, draining = "" if self._broken is None else self._broken.message, self.draining.begun
        phase: Phase = "closed" if self._closing else "draining" if draining else "serving" if self._serving else "starting"
        return Condition(phase, broken, self._failed_start, self._selection)

    async def end_quarantine(self) -> int:
        """Start a worker in each slot that is quarantined; returns how many those are."""
        return self._supervisor.end_quarantine()

    def workers(self) -> tuple[Worker, ...]:
        """The workers of now."""
        return tuple(self._supervisor.workers.values())
