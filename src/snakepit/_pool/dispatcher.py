"""Takes calls in, gives them to workers as the Scheduler decides, and tells their callers how they went.

A call is taken in once and its mailbox gets exactly one end. Lives on the engine's loop.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Iterable, Mapping

from snakepit._workers.ends import Death
from snakepit._workers.worker import Worker
from snakepit.config import PoolConfig
from snakepit.errors import CallCancelled, SessionEnded, SnakepitError, ToolError
from snakepit.telemetry.logs import library_logger
from snakepit_bridge.redaction import Redactor
from snakepit_bridge.wire import frames
from snakepit_bridge.wire.plain import Unserialisable

from . import call_log, failures
from .bundle import Job
from .bundles import Bundles
from .call import Call, Ended, Failed, cancel_each
from .call_options import call_options
from .circuits import Circuits
from .decisions import Assignment, How, QueueIsFull, SessionBusy
from .departures import Departures
from .early import taken_off
from .gathering import Gathering
from .ladder import Ladder
from .ledger import Ledger
from .nesting import Nesting
from .patience import Patience
from .reruns import Reruns
from .scheduler import Scheduler
from .sent_ahead import SentAhead
from .sessions.keeper import Keeper, ended

_log = library_logger("snakepit.pool")


class Dispatcher:
    """The calls of one pool, between their callers and the workers.

    Args:
        workers: the workers of now, by id; the supervisor's own.
        run_id: names this run of the pool in `Call.ancestors`.
        redactor: masks secrets in what workers say of errors, and in the log.
        call_left: told of each call whose slot is free again.
    """

    def __init__(
        self,
        config: PoolConfig,
        scheduler: Scheduler,
        sessions: Keeper,
        workers: Mapping[str, Worker],
        run_id: str,
        redactor: Redactor,
        call_left: Callable[[Call], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.circuits = Circuits(config.circuit_breaker, time.monotonic)
        self.ledger = Ledger(redactor, self.circuits.ended)
        self._config = config
        self._scheduler = scheduler
        self._sessions = sessions
        self._workers = workers
        self._redactor = redactor
        self._call_left = call_left
        self._ladder = Ladder(self.ledger.counters, config.cancel_timeout)
        self._reruns = Reruns(config.retry, self.circuits, self.ledger, self._forget_run, self._enqueue_again)
        self._patience = Patience(config.queue_timeout, self.cancel, self.scattered)
        self.bundles = Bundles(config, scheduler, workers, self.ledger, run_id, self._patience)
        self._ahead = SentAhead(scheduler, workers, self.ledger, self.bundles, self._withdrawn)
        self._gathering = Gathering(config.queue_size, scheduler, self.ledger, self.bundles, self._take_in)
        self._nesting = Nesting(scheduler, run_id, config.size, self.bundles.runs_as)
        scheduler.ask(self._ahead.seconds_now, self._may_follow)
        sessions.changed = lambda calls: self._give(self._ahead.take_those(calls))
        self.spoken_of = self._ahead.spoken_of
        self.departures = Departures(config, scheduler, sessions, self._ahead, self.ledger, self._give, self._refuse)

    # From the callers ---------------------------------------------------------------------------------------------------------

    def submit(self, call: Call) -> None:
        """Take a call in. Its mailbox gets whatever comes of it; refusals too."""
        self.ledger.enter(call)
        call.submitted = time.monotonic()
        refusal = failures.plainly_too_large(call, self._config.max_payload) or self.circuits.admit(call)
        if refusal is not None:
            self._refuse(call, refusal)
            return
        if call.timeout is not None:
            call.deadline = self._loop.time() + call.timeout
        if not self._gathering.keeps(call):
            self._take_in(call)

    def _take_in(self, call: Call) -> None:
        self.bundles.entered(call)
        if call.session_id:
            self._sessions.admit(call, self._enqueue, self._refuse)
        else:
            self._enqueue(call)
        self._patience.bound(call)

    def leave_job(self, job: Job, reason: str) -> None:
        """Nobody wants the results of a `map` any more."""
        cancel_each(job.open, lambda call: self.cancel(call, reason))

    def cancel(self, call: Call, reason: str, error: SnakepitError | None = None) -> None:
        """End a call for its caller now, and in the worker as soon as that can be. Harmless when it has ended."""
        if call.bundle is not None:
            for part in self.scattered(call):
                self.cancel(part, reason, None if error is None else failures.again(error))
            return
        self.bundles.taken_out(call)
        error = error or CallCancelled(f"{call.tool!r} was cancelled: {reason}", tool=call.tool)
        first = self.ledger.get(call.id) is not None and not call.cancelling
        if first:
            self._ladder.begin(call, error)
        self.ledger.tell(call, Failed(error))
        if not first:
            self._ladder.too_late(call, error)
            return
        self._nesting.left(call)
        if not self._ahead.has_begun(call):  # it waits for a slot, or for its session
            self._withdrawn(call)
            self._give(self._scheduler.next_assignments())
            return
        call.cancelling = True
        if (worker := self._workers.get(call.worker_id)) is None:
            return
        if worker.connection.cancel(call.id, reason):
            self._ladder.ended(call, "queued")
            self._slot_free(call, worker)
        else:
            self._ladder.climb(call, worker)

    def withdraw(self, call: Call, reason: str) -> bool:
        """`cancel` a call with which no worker has begun; False: one has, or it has ended."""
        self.bundles.taken_out(call)
        if call.over or self._ahead.has_begun(call):
            return False
        self.cancel(call, reason)
        return True

    def scattered(self, call: Call) -> list[Call]:
        """The calls that it stands for, each by itself; those of a bundle that have not begun wait nowhere."""
        if call.bundle is None:
            return [call]
        calls = self.bundles.scattered(call)
        call.cancelling = True  # by its parts
        self._give(self._scheduler.next_assignments())
        return calls

    def waited_for(self, call: Call) -> None:
        """A host tool waits for this call of its own, and would wait for ever if no worker can take it; or waits no more."""
        if self.ledger.get(call.id) is call:
            self._nesting.note(call)
            if call.waited:
                self._end_deadlocks(call)

    def consumed(self, call: Call, chunks: int, nbytes: int) -> None:
        """The caller has taken chunks of a stream: as many more may come."""
        worker = self._workers.get(call.worker_id)
        if worker is not None and not call.over:
            worker.connection.grant(call.id, chunks, nbytes)

    # From the workers -----------------------------------------------------------------------------------------------------------

    def worker_ready(self, worker: Worker) -> None:
        """A worker takes calls from now on."""
        self._give(self._scheduler.add_worker(worker.id, worker.says.concurrency, threaded=worker.says.threaded))
        self.takes_ahead(worker)
        self._end_deadlocks()

    def takes_ahead(self, worker: Worker) -> None:
        """Calls may be sent ahead to it, or may not: that is agreed on now."""
        if worker.connection.takes_ahead:
            worker.connection.on_look = lambda held_up: self._give(self._ahead.looked(worker, held_up=held_up))
            self._gathering.worthwhile |= worker.connection.takes_together
            self._give(self._scheduler.let_ahead(worker.id, for_sessions=worker.connection.takes_sessions))

    def worker_lost(self, worker: Worker, death: Death, *, retry: bool) -> None:
        """A worker is gone: its calls fail, and only they; so do the sessions that cannot go on elsewhere.

        Args:
            retry: run calls once more whose tools allow it.
        """
        self.departures.close(worker)
        worker.running.clear()
        removal = self._scheduler.remove_worker(worker.id)
        again: list[tuple[Call, float]] = []
        for call in self.bundles.orphans(map(self.ledger.known, removal.orphans)):
            call.worker_id = worker.id
            if call.cancelling or not call.over:
                self.circuits.failed(call, f"{worker.id} died: {death.cause}")
            pause = self._reruns.pause(call) if retry else None
            if pause is not None:
                again.append((call, pause))
                continue
            if call.cancelling:
                self._ladder.worker_lost(call, death, condemned=bool(worker.condemned))
            self.ledger.tell(call, Failed(failures.crashed(call, worker.id, worker.info().pid, death)))
            self._leave(call)
        self._sessions.worker_lost(worker.id, removal.lost_sessions, death.cause)
        self.departures.move(removal.stranded)
        self._give(removal.assignments)
        for call, pause in again:
            _log.warning("%r runs once more: %s died: %s", call.tool, worker.id, death.cause, extra={"correlation_id": call.correlation_id})
            self._reruns.begin(death.cause, pause, call)

    def _forget_run(self, call: Call) -> None:
        self._nesting.left(call)
        self._call_left(call)

    def _enqueue_again(self, call: Call) -> None:
        self._enqueue(call)
        self._patience.bound_wait(call)

    def _withdrawn(self, call: Call) -> None:
        """A cancelled call has not begun."""
        self._scheduler.withdraw(call.id)
        self._ladder.ended(call, "queued")
        bundle = self.bundles.part_left(call)  # which counted it among those that had begun
        self._leave(call)
        if bundle is not None and (worker := self._workers.get(bundle.worker_id or bundle.ahead_at)) is not None:
            self._bundle_gone(bundle, worker)

    def call_ended(self, worker: Worker, event: frames.Result | frames.Failure) -> None:
        """A worker says how a call ended."""
        if (call := self.ledger.get(event.call_id)) is None and (call := self._ended_in_bundle(worker, event)) is None:
            return
        self._ahead.ended(call, worker, event)
        facts = event.metadata if isinstance(event, frames.Result) else event.info
        warning, tainted = facts.pop("warning", None), facts.pop("tainted", False)
        rung, forced = facts.pop("rung", "finished"), facts.pop("forced", False)
        if warning:
            warning = self._redactor.mask(str(warning), worker.secrets())
            _log.warning("%s: %s", worker.id, warning, extra={"worker_id": worker.id, "correlation_id": call.correlation_id})
        if call.session_id:
            self._sessions.answered(call, facts)
        then = self._leave
        if isinstance(event, frames.Result):
            worker.secrets.told([event.value])
            self.ledger.tell(call, Ended(event.value, {**facts, **call.where()}))
        else:
            error = failures.from_worker(call, facts, self._redactor, worker.secrets())
            pause = self._reruns.pause(call, error) if isinstance(error, ToolError) else None
            if pause is None:
                self.ledger.tell(call, Failed(error))
            else:
                _log.info("%r runs once more: %s", call.tool, error.message, extra={"correlation_id": call.correlation_id})
                then = functools.partial(self._reruns.begin, error.message, pause)
        worker.calls_served += 1
        self.departures.wear(worker)
        if call.cancelling:
            self._ladder.ended(call, str(rung), forced=bool(forced))
        if tainted:
            self.departures.taint(worker)
        self._slot_free(call, worker, then)

    def _ended_in_bundle(self, worker: Worker, event: frames.Result | frames.Failure) -> Call | None:
        call, bundle = self.bundles.ended(worker, event)
        self._bundle_gone(bundle, worker)
        return call

    def _bundle_gone(self, bundle: Call | None, worker: Worker) -> None:
        if bundle is not None:
            self.bundles.forget(bundle)
            self.departures.wear(worker)
            self.departures.leave_if_idle(worker)
            self._give(self._scheduler.next_assignments())

    def stalled(self, worker: Worker, event: frames.Stalled) -> None:
        """A worker says that a call hangs, and where its threads are: the call is cancelled."""
        call = self.spoken_of(worker, event.call_id)
        if call is not None and not call.over:
            secrets = worker.secrets()
            where, stacks = (self._redactor.mask(str(event.info.get(key, "")), secrets) for key in ("where", "stacks"))
            error = failures.hung(call, self._config.hang_timeout or 0.0, where, stacks)
            facts = {"correlation_id": call.correlation_id, "worker_id": worker.id, "stacks": stacks}
            _log.warning("%s%s", error.message, f"\n{stacks}" if stacks else "", extra=facts)
            self.cancel(call, "it hangs", error)

    # Inside -----------------------------------------------------------------------------------------------------------------------

    def _enqueue(self, call: Call) -> None:
        try:
            assignments = self._scheduler.submit(
                call.id,
                streaming=call.streaming,
                session=call.session_id,
                affinity=call.affinity,
                blocking=call.blocking,
                seconds=self._ahead.seconds(call),
            )
        except QueueIsFull as full:
            self._refuse(call, failures.queue_full(self._scheduler.waiting, self._config.queue_size))
            self._give(full.assignments)
            return
        except SessionBusy as busy:
            self._refuse(call, failures.worker_busy(call, busy.worker_id))
            self._give(busy.assignments)
            return
        self._give(assignments)
        if call.ancestors:
            self._nesting.note(call)
            if not call.worker_id:
                self._end_deadlocks(call)

    def _may_follow(self, call_id: int, worker_id: str) -> bool:
        call = self.ledger.get(call_id)
        return call is not None and self._sessions.is_settled(call, worker_id)

    def _refuse(self, call: Call, error: Exception) -> None:
        """It goes to no worker."""
        if call.bundle is not None:
            for part in self.bundles.scattered(call):
                self._refuse(part, failures.again(error) if isinstance(error, SnakepitError) else error)
            return
        self._scheduler.withdraw(call.id)
        self.ledger.tell(call, Failed(failures.session_failed(call, error)))
        self._leave(call)

    def _give(self, assignments: Iterable[Assignment]) -> None:
        pending = list(assignments)
        while pending or (pending := self._ahead.relieve()):
            call_id, worker_id, moved_from, how = pending.pop(0)
            call, worker = self.ledger.get(call_id), self._workers[worker_id]
            if call is None:  # it was to run next, and could not be sent
                continue
            if how is not How.NEXT:
                call.ahead_at = worker_id if how is How.AHEAD else ""
            if how is not How.AHEAD:
                call.began, call.worker_id = time.monotonic(), worker_id
                worker.running[call_id] = call.correlation_id
            try:
                if how is not How.NEXT and not self._send(call, worker, moved_from):
                    pending = self._ahead.unsent(call, worker, pending) + self._scheduler.next_assignments()
            except Unserialisable as error:
                failure: SnakepitError = failures.unsendable(call, error)
            except SessionEnded as error:
                failure = error
            else:
                continue
            self.ledger.tell(call, Failed(failure))
            taken_off(worker, call.id)
            self._scheduler.take_back([call_id])
            self._scheduler.withdraw(call_id)
            pending += self._scheduler.finish(call_id) or self._scheduler.next_assignments()
            self._leave(call)

    def _send(self, call: Call, worker: Worker, moved_from: str) -> bool:
        """False: it cannot go there as was decided, see `SentAhead.unsent`."""
        options = call_options(call, self._config, self._loop.time())
        if call.session_id:
            telling = self._sessions.options(call, worker.id, moved_from)
            if telling is None:
                raise ended(call.session_id)
            options["session"] = telling
            if "metadata" in telling:
                worker.secrets.session_begun(call.session_id, telling["metadata"])
        worker.secrets.running(call.id, {**call.args, **call.binary} if call.binary else call.args)
        call_log.given(call, self._redactor)
        if call.bundle is not None:
            return self.bundles.send(call, worker, options)
        if call.ahead_at:
            return worker.connection.call_ahead(call.id, call.tool, call.args, options, call.window)
        worker.connection.call(call.id, call.tool, call.args, options, call.window)
        return True

    def _slot_free(self, call: Call, worker: Worker, then: Callable[[Call], None] | None = None) -> None:
        """`then`: what becomes of the call; by default it leaves."""
        taken_off(worker, call.id)
        bundle = self.bundles.part_left(call)
        assignments = self._scheduler.finish(call.id)
        (then or self._leave)(call)
        self._give(assignments)
        self.departures.leave_if_idle(worker)
        self._bundle_gone(bundle, worker)

    def _leave(self, call: Call) -> None:
        """The last step of a call. What others make of it comes after our own books: they may ask what is not ours to vouch for."""
        self.ledger.leave(call)
        self._nesting.left(call)
        self._call_left(call)
        if call.session_id:
            self._sessions.left(call)

    def _end_deadlocks(self, newest: Call | None = None) -> None:
        """Fail nested calls that no worker can ever take."""
        while (call := self._nesting.doomed(newest)) is not None:
            self.cancel(call, "every worker waits for it", failures.deadlock(call, self._config.size))
            newest = None
